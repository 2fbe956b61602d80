//go:build !race

package linkedin

const raceDetector = false

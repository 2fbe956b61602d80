//go:build race

package linkedin

// raceDetector says that memory and time are the race detector's.
const raceDetector = true

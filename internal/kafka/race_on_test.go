//go:build race

package kafka

// raceDetector says that memory and time are the race detector's.
const raceDetector = true

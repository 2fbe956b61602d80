//go:build race

package main

// raceDetector says that memory and time are the race detector's.
const raceDetector = true

// Command run measures leadstream beside bench/bare, on the same machine and in
// the same hour, and prints the tables of docs/benchmarks.md.
//
// It builds both programs, starts a real Kafka and a real registry (see
// internal/realstack; or uses those that the flags name) and the simulated
// LinkedIn as a process of its own, and runs the two in turn. Every run has
// topics, schemas and a checkpoint topic of its own, made before the clock
// starts. What a run has written is read back by a third client
// (read_committed) after the clock has stopped: a run that did not write every
// lead once is an error, not a figure.
//
//	LEADSTREAM_TEST_JARS=… go run ./bench/run
//	LEADSTREAM_TEST_JARS=… go run ./bench/run -only backfill -runs 3
//
// It measures what happens and judges nothing: no test depends on it.
package main

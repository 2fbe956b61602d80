//go:build integration

package kafka

const childEnv = "LEADSTREAM_KAFKA_TEST_CHILD"

func child(string) int { return 0 }

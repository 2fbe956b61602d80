// Package realstack runs a real Apache Kafka broker and a real Apicurio
// Registry as child processes, for the integration tests and benchmarks and
// for nothing else. Their jars are in the directory that the environment
// variable LEADSTREAM_TEST_JARS names; .ci/stack fills it.
//
// Each process listens on free loopback ports which it keeps over restarts,
// has its data and logs in a directory of its own, and dies with the program
// that started it.
package realstack

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// EnvJars names the directory of the jars: libs/ with those of Kafka,
// apicurio/ with an unpacked registry.
const EnvJars = "LEADSTREAM_TEST_JARS"

// Jars is the directory that EnvJars names.
func Jars() (string, error) {
	dir := os.Getenv(EnvJars)
	if dir == "" {
		return "", fmt.Errorf("%s is not set: run .ci/stack DIRECTORY and set it to that directory", EnvJars)
	}
	if found, err := filepath.Glob(filepath.Join(dir, "libs", "kafka_*.jar")); err != nil || len(found) == 0 {
		return "", fmt.Errorf("%s=%s holds no libs/kafka_*.jar: run .ci/stack %s", EnvJars, dir, dir)
	}
	return dir, nil
}

// freePorts finds n loopback ports that nobody listens on. Somebody else may
// take one before it is used; then the start fails and says so.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(errors.New("looking for a free port"), err)
		}
		// Kept until all are found, so that they differ.
		defer func() { _ = l.Close() }()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

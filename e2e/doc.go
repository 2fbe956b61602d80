// Package e2e holds the integration suite: the leadstream program as its users
// run it, with a real Kafka and a real schema registry, against the simulated
// LinkedIn. What arrived in the topics is read by a client that is not ours
// (consume.py) and compared, lead by lead and answer by answer, with what the
// simulated LinkedIn says was submitted.
//
// The suite is built with the tag integration and needs two directories that
// .ci/run prepares: LEADSTREAM_TEST_JARS (Kafka and the registry, see
// .ci/stack) and the Python interpreter LEADSTREAM_TEST_PYTHON (with
// e2e/requirements.txt installed). LEADSTREAM_TEST_BINARY names a leadstream
// that is built already. With LEADSTREAM_TEST_LOGS set to a directory, the logs
// of all processes are kept there.
//
// What earlier releases left is in testdata/recordings; the tag record builds what
// records the next one.
package e2e

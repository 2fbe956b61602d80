package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"leadstream/connector"
	"leadstream/internal/kafka"
)

func TestAPermissionFoundMissingWhileKafkaIsWaitedForIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		s := &system{log: zap.New(core)}
		away := &kafka.UnreachableError{Op: "describing", Err: errors.New("connection refused")}
		create := &kafka.AuthorizationError{Resource: "cluster", Operation: "Create"}
		read := &kafka.AuthorizationError{Resource: "topic", Name: "leadstream.checkpoints", Operation: "Read"}
		answers := []error{away, away, create, create, read, nil}
		err := s.awaitKafka(t.Context(), false, connector.NewIssues(time.Now, s.log), func(context.Context) error {
			err := answers[0]
			answers = answers[1:]
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		said := logs.FilterMessage("waiting for Kafka")
		if n, errs := said.Len(), said.FilterLevelExact(zap.ErrorLevel).Len(); n != 3 || errs != 2 {
			t.Errorf("said %d times, %d of them as an error; want Kafka away, and each permission: %v", n, errs, said.All())
		}
	})
}

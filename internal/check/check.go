// Package check looks at every precondition of the connector, and says what to do
// about each that does not hold. It changes nothing.
package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"leadstream/config"
	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedin"
	"leadstream/internal/oauth"
	"leadstream/schema"
)

// The results of a check.
const (
	Pass = "PASS"
	Warn = "WARN" // works, and is risky or perhaps not meant
	Fail = "FAIL" // does not work
)

// Finding is one line of "leadstream check".
type Finding struct {
	Check  string `json:"check"`
	Result string `json:"result"` // Pass, Warn or Fail
	Text   string `json:"text"`
	Todo   string `json:"todo,omitempty"`
}

// Parts are the parts of the program that are asked.
type Parts struct {
	Config   *config.Config
	Warnings []config.Warning // of the configuration
	Cluster  *kafka.Cluster
	Trial    *kafka.Producer // under TrialID, which no connector uses
	Registry *schema.Registry
	Session  *oauth.Session
	LinkedIn *linkedin.Client
	Store    delivery.Options
	// State reads the checkpoints.
	State func(context.Context) (checkpoint.State, error)
	// At is told what is being looked at, and how much of that is done.
	At func(what string, done, total int)
}

// TrialID is the transactional id that the check starts a producer with. The one of
// the connector would fence a connector that runs.
func TrialID(name string) string { return name + ".check" }

// Run looks at everything, in the order in which one thing rests on another.
func Run(ctx context.Context, parts Parts) []Finding {
	k := &checker{Parts: parts}
	k.configuration(parts.Warnings)
	k.redirect()
	k.tokenStore()
	k.kafka(ctx)
	k.registry(ctx)
	k.At("LinkedIn", 0, 0)
	k.linkedin(ctx)
	k.At("webhook", 0, 0)
	k.webhook(ctx)
	return k.findings
}

// Invalid shows what is wrong with a configuration as findings.
func Invalid(err *config.InvalidError) []Finding {
	k := &checker{}
	for _, p := range err.Problems {
		k.failf("configuration", "see leadstream config --example, and docs/configuration.md", "%s", p)
	}
	return k.findings
}

// Failed reports whether something does not work.
func Failed(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Result == Fail })
}

// checker gathers findings; a check that builds on a failed one is left out.
type checker struct {
	Parts
	findings []Finding
	state    checkpoint.State           // what the checkpoints say; empty when they cannot be read
	away     error                      // why Kafka was not reached; nil when it was
	there    map[string]kafka.TopicInfo // the topics that exist; nil when that is not known
}

func (k *checker) pass(check, format string, args ...any) {
	k.findings = append(k.findings, Finding{Check: check, Result: Pass, Text: fmt.Sprintf(format, args...)})
}

func (k *checker) warn(check, todo, format string, args ...any) {
	k.findings = append(k.findings, Finding{Check: check, Result: Warn, Text: fmt.Sprintf(format, args...), Todo: todo})
}

func (k *checker) fail(check, todo string, err error) {
	k.findings = append(k.findings, Finding{Check: check, Result: Fail, Text: err.Error(), Todo: todo})
}

// failf is fail where there is no error but ours.
func (k *checker) failf(check, todo, format string, args ...any) {
	k.fail(check, todo, fmt.Errorf(format, args...))
}

const (
	// Timeout bounds each question of the check: a command that ends must not
	// wait for what is away.
	Timeout = 20 * time.Second
	// eachForm is added for each form where there are as many questions as forms.
	eachForm = 100 * time.Millisecond
	// PingTimeout bounds the first question.
	PingTimeout = 10 * time.Second
)

// bounded gives work the time that one question may take, or so many of them as
// there are forms.
func (k *checker) bounded(ctx context.Context, what string, work func(context.Context)) {
	k.At(what, 0, 0)
	ctx, cancel := context.WithTimeout(ctx, Timeout+time.Duration(len(k.state.Forms))*eachForm)
	defer cancel()
	work(ctx)
}

// is reports whether an error of type E is in the chain.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

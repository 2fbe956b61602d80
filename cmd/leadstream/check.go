package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedin"
)

// The results of a check.
const (
	resultPass = "PASS"
	resultWarn = "WARN" // works, and is risky or perhaps not meant
	resultFail = "FAIL" // does not work
)

// finding is one line of "leadstream check".
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"` // PASS, WARN or FAIL
	Text   string `json:"text"`
	Todo   string `json:"todo,omitempty"`
}

// newCheck is "leadstream check".
func newCheck(a *app) *cobra.Command {
	var probe bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Every precondition as a line, with what to do about it",
		Long: `Checks the configuration, Kafka (brokers, version, permissions, transactions,
the topics that exist), the schema registry, the LinkedIn connection (token,
scopes, API version, clock), the roles and the leads of each organization, and
the webhook. Nothing is changed: permissions are asked for without being used,
transactions are tried under an id of its own, <name>.check, which Kafka
forgets after a week, and LinkedIn gets nothing but GET requests and the
introspection of the token. An access token that has expired is left to be
renewed by the connector, and what takes one is not checked then. May run
beside the connector.

Missing permissions are printed as commands for kafka-acls. Where Kafka is
reached without a login, put the connector's principal in the place of
User:PRINCIPAL; admin.properties is the file with your own login.

Ends with 0 when nothing failed, else with 6; with 2 when the configuration is
not valid.

--probe looks at LinkedIn alone, and at what its documentation leaves open: page
sizes, order, bounds, offsets, spellings, versions (docs/linkedin.md). It makes
at most ` + strconv.Itoa(linkedin.MostProbeRequests) + ` GET requests, about 50 as a rule, which count towards the day's limits,
and shows no answer and no name. The connector is right under whatever is seen
to differ; only what would break it ends with 6. It takes an access token that
has not expired, and ends with 5 otherwise.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if probe {
				return a.probe(cmd.Context())
			}
			return a.check(cmd.Context())
		},
	}
	a.addOutput(cmd)
	cmd.Flags().BoolVar(&probe, "probe", false, "see what LinkedIn does where its documentation leaves it open, by reading")
	return cmd
}

// checker gathers findings; a check that builds on a failed one is left out.
type checker struct {
	system   *system
	progress *progress
	findings []finding
	state    checkpoint.State           // what the checkpoints say; empty when they cannot be read
	away     error                      // why Kafka was not reached; nil when it was
	there    map[string]kafka.TopicInfo // the topics that exist; nil when that is not known
}

func (k *checker) pass(check, format string, args ...any) {
	k.findings = append(k.findings, finding{Check: check, Result: resultPass, Text: fmt.Sprintf(format, args...)})
}

func (k *checker) warn(check, todo, format string, args ...any) {
	k.findings = append(k.findings, finding{Check: check, Result: resultWarn, Text: fmt.Sprintf(format, args...), Todo: todo})
}

func (k *checker) fail(check, todo string, err error) {
	k.findings = append(k.findings, finding{Check: check, Result: resultFail, Text: err.Error(), Todo: todo})
}

// failf is fail where there is no error but ours.
func (k *checker) failf(check, todo, format string, args ...any) {
	k.fail(check, todo, fmt.Errorf(format, args...))
}

func (a *app) check(ctx context.Context) error {
	k := &checker{}
	c, warnings, err := a.readConfig("linkedin.client_id", "linkedin.client_secret", "registry.url")
	if err != nil {
		return a.reportInvalid(k, err)
	}
	// What goes wrong stands in the findings; the log would say it twice.
	if k.system, err = buildToLook(c, zap.NewNop()); err != nil {
		return err
	}
	defer k.system.close()
	k.progress = a.newProgress()
	k.examine(ctx, warnings)
	k.progress.stop()
	if err := a.printFindings(k.findings); err != nil {
		return err
	}
	if k.failed() {
		return exitWith(exitDifferences, nil)
	}
	return nil
}

// examine looks at everything, in the order in which one thing rests on another.
func (k *checker) examine(ctx context.Context, warnings []config.Warning) {
	k.configuration(warnings)
	k.redirect()
	k.tokenStore()
	k.kafka(ctx)
	k.registry(ctx)
	k.progress.at("LinkedIn", 0, 0)
	k.linkedin(ctx)
	k.progress.at("webhook", 0, 0)
	k.webhook(ctx)
}

// reportInvalid shows what is wrong with the configuration as findings.
func (a *app) reportInvalid(k *checker, err error) error {
	invalid, ok := errors.AsType[*config.InvalidError](err)
	if !ok {
		return err
	}
	for _, p := range invalid.Problems {
		k.failf("configuration", "see leadstream config --example, and docs/configuration.md", "%s", p)
	}
	if err := a.printFindings(k.findings); err != nil {
		return err
	}
	return exitWith(exitUsage, nil)
}

func (a *app) printFindings(findings []finding) error {
	return printList(a, findings,
		column[finding]{"result", func(f finding) string { return f.Result }},
		column[finding]{"check", func(f finding) string { return f.Check }},
		column[finding]{"finding", func(f finding) string { return f.Text }},
		column[finding]{"what to do", func(f finding) string { return f.Todo }},
	)
}

func (k *checker) failed() bool {
	for _, f := range k.findings {
		if f.Result == resultFail {
			return true
		}
	}
	return false
}

const (
	// checkTimeout bounds each question of the check: a command that ends must not
	// wait for what is away.
	checkTimeout = 20 * time.Second
	// eachForm is added for each form where there are as many questions as forms.
	eachForm = 100 * time.Millisecond
	// pingTimeout bounds the first question.
	pingTimeout = 10 * time.Second
)

// bounded gives work the time that one question may take, or so many of them as
// there are forms.
func (k *checker) bounded(ctx context.Context, what string, work func(context.Context)) {
	k.progress.at(what, 0, 0)
	ctx, cancel := context.WithTimeout(ctx, checkTimeout+time.Duration(len(k.state.Forms))*eachForm)
	defer cancel()
	work(ctx)
}

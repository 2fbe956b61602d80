package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/oauth"
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
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Every precondition as a line, with what to do about it",
		Long: `Checks the configuration, Kafka (reachability, permissions, transactions, the
topics that exist), the schema registry, the LinkedIn connection, its scopes
and the roles per organization. Transactions are tried under an id of its own,
and nothing is written. Ends with 0 when nothing failed, else with 6.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.check(cmd.Context()) },
	}
	a.addOutput(cmd)
	return cmd
}

// checker gathers findings; a check that builds on a failed one is left out.
type checker struct {
	system   *system
	findings []finding
}

func (k *checker) pass(check, format string, args ...any) {
	k.findings = append(k.findings, finding{Check: check, Result: "PASS", Text: fmt.Sprintf(format, args...)})
}

func (k *checker) warn(check, todo, format string, args ...any) {
	k.findings = append(k.findings, finding{Check: check, Result: "WARN", Text: fmt.Sprintf(format, args...), Todo: todo})
}

func (k *checker) fail(check, todo string, err error) {
	k.findings = append(k.findings, finding{Check: check, Result: "FAIL", Text: err.Error(), Todo: todo})
}

func (a *app) check(ctx context.Context) error {
	c, _, err := a.load("linkedin.client_id", "linkedin.client_secret", "registry.url")
	if err != nil {
		return err
	}
	// What goes wrong stands in the findings; the log would say it twice.
	s, err := build(c, zap.NewNop())
	if err != nil {
		return err
	}
	defer s.close()
	k := &checker{system: s}
	k.pass("configuration", "valid")
	k.kafka(ctx)
	k.registry(ctx)
	k.linkedin(ctx)
	err = printList(a, k.findings,
		column[finding]{"result", func(f finding) string { return f.Result }},
		column[finding]{"check", func(f finding) string { return f.Check }},
		column[finding]{"finding", func(f finding) string { return f.Text }},
		column[finding]{"what to do", func(f finding) string { return f.Todo }},
	)
	if err != nil {
		return err
	}
	for _, f := range k.findings {
		if f.Result == "FAIL" {
			return exitWith(exitDifferences, nil)
		}
	}
	return nil
}

// checkTimeout bounds each of the checks: a command that ends must not wait
// for what is away.
const checkTimeout = 15 * time.Second

func (k *checker) kafka(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	s := k.system
	if err := s.cluster.Ping(ctx); err != nil {
		k.fail("kafka reachable", "look at kafka.brokers, kafka.tls and kafka.sasl", err)
		return
	}
	k.pass("kafka reachable", "%s", strings.Join(s.config.Kafka.Brokers, ", "))
	if err := s.cluster.NewProducer(s.config.Name+".check", transactionTimeout).Init(ctx); err != nil {
		k.fail("kafka transactions", permission(err, "the brokers must allow idempotent, transactional producers"), err)
	} else {
		k.pass("kafka transactions", "a transactional producer can be started (id %s.check)", s.config.Name)
	}
	if members, err := s.cluster.GroupMembers(ctx, s.config.Name); err != nil {
		k.fail("kafka group", permission(err, "the group must be readable"), err)
	} else {
		k.pass("kafka group", "%d running under the name %s", members, s.config.Name)
	}
	k.topics(ctx)
}

// permission is the remedy that a missing permission itself knows.
func permission(err error, otherwise string) string {
	if missing, ok := errors.AsType[*kafka.AuthorizationError](err); ok {
		return fmt.Sprintf("kafka-acls --add --allow-principal User:NAME --operation %s --%s %s", missing.Operation, missing.Resource, missing.Name)
	}
	return otherwise
}

// topics looks at what exists: what it is risky to rely on.
func (k *checker) topics(ctx context.Context) {
	s := k.system
	checkpoints := delivery.CheckpointTopic(s.config.Name)
	state, err := delivery.ReadState(ctx, s.cluster, s.config.Name)
	if err != nil {
		k.fail("checkpoints", permission(err, "see leadstream checkpoints list"), err)
		return
	}
	names := []string{checkpoints, delivery.DeadLetterTopic(s.config.Name)}
	for form := range state.Forms {
		names = append(names, s.config.Kafka.TopicPrefix+form)
	}
	found, err := s.cluster.DescribeTopics(ctx, names, "cleanup.policy", "retention.ms", "min.insync.replicas")
	if err != nil {
		k.fail("topics", permission(err, "the topics must be describable"), err)
		return
	}
	info, ok := found[checkpoints]
	switch {
	case !ok:
		k.pass("checkpoints", "topic %s does not exist yet: the first start makes it", checkpoints)
	case info.Configs["cleanup.policy"] != "compact":
		k.fail("checkpoints", "kafka-configs --alter --entity-type topics --entity-name "+checkpoints+" --add-config cleanup.policy=compact",
			&delivery.PolicyError{Topic: checkpoints, Policy: info.Configs["cleanup.policy"]})
	default:
		k.pass("checkpoints", "topic %s is compacted and holds %d sources", checkpoints, len(state.Sources))
	}
	for name, info := range found {
		k.topic(name, info, checkpoints)
	}
}

func (k *checker) topic(name string, info kafka.TopicInfo, checkpoints string) {
	c := k.system.config
	if info.ReplicationFactor == 1 {
		k.warn("topic "+name, "raise its replication factor to 3, with min.insync.replicas=2", "has one replica: losing its disk loses it")
	} else if info.Configs["min.insync.replicas"] == "1" {
		k.warn("topic "+name, "set min.insync.replicas=2", "min.insync.replicas is 1: a broker's end can lose acknowledged records")
	}
	if name == checkpoints || name == delivery.DeadLetterTopic(c.Name) {
		return
	}
	ms, err := strconv.ParseInt(info.Configs["retention.ms"], 10, 64)
	if err == nil && ms >= 0 && time.Duration(ms)*time.Millisecond < c.Poll.Lookback && strings.Contains(info.Configs["cleanup.policy"], "delete") {
		k.warn("topic "+name, "raise retention.ms above poll.lookback", "keeps leads for %s, shorter than poll.lookback (%s): late leads older than that are left to an explicit replay",
			config.FormatDuration(time.Duration(ms)*time.Millisecond), config.FormatDuration(c.Poll.Lookback))
	}
}

func (k *checker) registry(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := k.system.registry.Ping(ctx); err != nil {
		k.fail("schema registry", "look at registry.url, registry.username, registry.password and registry.ca_file", err)
		return
	}
	k.pass("schema registry", "%s", k.system.config.Registry.URL)
}

func (k *checker) linkedin(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	s := k.system
	st, err := s.session.Status(ctx)
	switch {
	case err != nil:
		k.fail("linkedin token", "leadstream auth login", err)
		return
	case !st.Usable:
		k.fail("linkedin token", st.Todo, errors.New(st.Problem))
		return
	case st.Note != "":
		k.warn("linkedin token", "leadstream auth login", "%s", st.Note)
	default:
		k.pass("linkedin token", "%s", life(st))
	}
	if len(st.Missing) > 0 {
		k.fail("linkedin scopes", "leadstream auth login, with an app that has been given them", fmt.Errorf("missing: %s", strings.Join(st.Missing, ", ")))
	} else {
		k.pass("linkedin scopes", "%s", strings.Join(st.Scopes, ", "))
	}
	orgs, err := s.linkedin.Organizations(ctx)
	if err != nil {
		k.fail("linkedin API", "version "+s.config.LinkedIn.Version+" must be active and the API reachable", err)
		return
	}
	k.pass("linkedin API", "version %s", s.config.LinkedIn.Version)
	if len(orgs) == 0 {
		k.warn("linkedin organizations", "let an administrator of the page consent, or give this member the role", "the member has no role on any organization")
	}
	for _, o := range orgs {
		const todo = "give the member the role ADMINISTRATOR or CONTENT_ADMINISTRATOR on the page"
		switch {
		case o.Incidental:
			k.warn("organization "+o.URN, todo+", if its leads are wanted", "%s", o.Problem)
			continue
		case o.Problem != "":
			k.fail("organization "+o.URN, todo, errors.New(o.Problem))
			continue
		}
		k.pass("organization "+o.URN, "%s: %s", o.Name, strings.Join(o.Roles, ", "))
	}
}

// life says how long a usable connection lasts.
func life(st oauth.Status) string {
	text := "access token until " + st.AccessExpiresAt.Format(time.DateOnly)
	if st.Refreshable {
		text += ", renewed by itself until " + st.RefreshExpiresAt.Format(time.DateOnly)
	}
	return text
}

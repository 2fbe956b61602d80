package main

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/internal/linkedinsim"
	"leadstream/internal/teardown"
)

// remains are the topics and subjects that are there.
func (s *stack) remains() (topics, subjects []string) {
	s.t.Helper()
	c, _, err := config.Load(config.LoadOptions{NoFile: true, Environ: s.environ(nil)})
	if err != nil {
		s.t.Fatal(err)
	}
	cluster, err := newCluster(c, zap.NewNop())
	if err != nil {
		s.t.Fatal(err)
	}
	defer cluster.Close()
	registry, err := newRegistry(c)
	if err != nil {
		s.t.Fatal(err)
	}
	defer registry.Close()
	found, err := cluster.Admin.DescribeTopics(s.t.Context(), []string{oneForm, "leadstream.checkpoints", "leadstream.deadletters", "leadstream.deletions"})
	if err != nil {
		s.t.Fatal(err)
	}
	for name := range found {
		topics = append(topics, name)
	}
	slices.Sort(topics)
	versions, err := registry.Versions(s.t.Context(), oneFormSubject)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(versions) > 0 {
		subjects = append(subjects, oneFormSubject)
	}
	return topics, subjects
}

// withCluster gives fn the stack's Kafka.
func (s *stack) withCluster(fn func(*kafka.Client) error) {
	s.t.Helper()
	c, _, err := config.Load(config.LoadOptions{NoFile: true, Environ: s.environ(nil)})
	if err != nil {
		s.t.Fatal(err)
	}
	cluster, err := newCluster(c, zap.NewNop())
	if err != nil {
		s.t.Fatal(err)
	}
	defer cluster.Close()
	if err := fn(cluster); err != nil {
		s.t.Fatal(err)
	}
}

// append writes a record as another program does.
func (s *stack) append(m kafka.Message) {
	s.t.Helper()
	s.withCluster(func(cluster *kafka.Client) error { return cluster.Append(s.t.Context(), m) })
}

func (s *stack) expectRemains(what string, wantTopics, wantSubjects string) {
	s.t.Helper()
	topics, subjects := s.remains()
	if got := strings.Join(topics, " "); got != wantTopics {
		s.t.Errorf("%s: the topics are %q, want %q", what, got, wantTopics)
	}
	if got := strings.Join(subjects, " "); got != wantSubjects {
		s.t.Errorf("%s: the subjects are %q, want %q", what, got, wantSubjects)
	}
}

const (
	oneForm        = "linkedin.leads.7130000000000000001"
	allTopics      = "leadstream.checkpoints leadstream.deadletters " + oneForm
	oneFormSubject = oneForm + "-value"
)

func newTornStack(t *testing.T) *stack {
	return newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 25, Seed: 1})
}

func (s *stack) must(args ...string) outcome {
	s.t.Helper()
	got := s.run(s.t.Context(), nil, args...)
	if got.code != exitDone {
		s.t.Fatalf("%v: exit %d: %s", args, got.code, got.stderr)
	}
	return got
}

func TestTeardownWithoutYesChangesNothing(t *testing.T) {
	t.Parallel()
	s := newTornStack(t)
	s.must("run", "--once")
	got := s.must("teardown", "--all", "-o", "json")
	var plan []teardown.Removal
	if err := json.Unmarshal([]byte(got.stdout), &plan); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, r := range plan {
		kinds = append(kinds, r.Kind+" "+strings.TrimPrefix(r.Name, s.env["LEADSTREAM_TOKEN_FILE"]))
		if r.Done {
			t.Errorf("%s %s was removed", r.Kind, r.Name)
		}
	}
	want := []string{"subject " + oneFormSubject, "topic leadstream.deadletters", "topic " + oneForm, "tokens ", "topic leadstream.checkpoints"}
	if !slices.Equal(kinds, want) {
		t.Errorf("the plan is %q, want %q: checkpoints last", kinds, want)
	}
	s.expectRemains("without --yes", allTopics, oneFormSubject)
	if table := s.must("teardown", "--all").stdout; !strings.Contains(table, "Nothing was removed") {
		t.Errorf("the table does not say that nothing was removed:\n%s", table)
	}
}

func TestTeardownRemovesWhatItIsToldAndRunBuildsItAnew(t *testing.T) {
	t.Parallel()
	s := newTornStack(t)
	s.must("run", "--once")
	s.must("teardown", "--topics", "--yes")
	s.expectRemains("--topics", "leadstream.checkpoints", oneFormSubject)
	// Softly alone, and anew, is tried on a real registry: the embedded one cannot.
	s.must("teardown", "--schemas", "--topics", "--yes")
	s.expectRemains("--schemas", "leadstream.checkpoints", "")
	s.must("teardown", "--checkpoints", "--yes")
	s.expectRemains("--checkpoints", "", "")
	s.must("run", "--once")
	s.expectRemains("run", allTopics, oneFormSubject)
	leads := 0
	for line := range strings.Lines(s.must("forms", "-o", "json").stdout) {
		if strings.Contains(line, `"leads": 25`) {
			leads++
		}
	}
	if leads != 1 {
		t.Error("not all 25 leads are in the topic that was made anew")
	}
	s.must("teardown", "--all", "--yes")
	s.expectRemains("--all", "", "")
	if _, err := os.Stat(s.env["LEADSTREAM_TOKEN_FILE"]); !os.IsNotExist(err) {
		t.Errorf("the token file is still there: %v", err)
	}
	if got := s.must("teardown", "--all", "--yes", "-o", "json").stdout; strings.TrimSpace(got) != "[]" {
		t.Errorf("once more it removes %s", got)
	}
}

func TestTeardownLeavesATopicAloneThatWasThereBefore(t *testing.T) {
	t.Parallel()
	s := newTornStack(t)
	s.withCluster(func(cluster *kafka.Client) error {
		_, err := cluster.Admin.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: oneForm, Partitions: 1, ReplicationFactor: 1}})
		return err
	})
	s.append(kafka.Message{Topic: oneForm, Key: []byte("k"), Value: []byte("somebody else's")})
	s.must("run", "--once")
	got := s.must("teardown", "--topics", "--schemas", "--yes")
	if !strings.Contains(got.stdout, "left alone: it holds records that leadstream did not write") || !strings.Contains(got.stdout, "softly") && !strings.Contains(got.stdout, "removed") {
		t.Errorf("it says\n%s", got.stdout)
	}
	s.expectRemains("afterwards", "leadstream.checkpoints "+oneForm, "")
}

// A topic that this installation made is its own also after its progress was
// lost: the records in it bear its name.
func TestTeardownRemovesItsOwnTopicsAfterALostCheckpoint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		headers []kafka.Header // of a record in its topic; nil: there is none
		want    string
		note    string
	}{
		{"with its leads alone", nil, "", ""},
		{"with another installation's", []kafka.Header{{Key: "leadstream.name", Value: []byte("other")}}, oneForm, `leads of the installation "other"`},
		{"with somebody's record", []kafka.Header{{Key: "h"}}, oneForm, "records that leadstream did not write"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTornStack(t)
			over := map[string]string{"LEADSTREAM_KAFKA_ADOPT_TOPICS": "true"}
			s.must("run", "--once")
			s.must("checkpoints", "reset", "--all")
			if tt.headers != nil {
				s.append(kafka.Message{Topic: oneForm, Key: []byte("k"), Value: []byte("v"), Headers: tt.headers, Time: time.Now()})
			}
			if got := s.run(t.Context(), over, "run", "--once"); got.code != exitDone {
				t.Fatalf("exit %d: %s", got.code, got.stderr)
			}
			got := s.must("teardown", "--all", "--yes").stdout
			s.expectRemains("--all", tt.want, "")
			if tt.note != "" && !strings.Contains(got, "left alone: it holds "+tt.note) {
				t.Errorf("it says\n%s", got)
			}
		})
	}
}

// The progress says that a topic is ours; what somebody has put into it since says
// that it is not ours alone.
func TestTeardownLeavesATopicAloneThatOthersUseToo(t *testing.T) {
	t.Parallel()
	s := newTornStack(t)
	s.must("run", "--once")
	s.append(kafka.Message{Topic: oneForm, Key: []byte("k"), Value: []byte("v"), Time: time.Now()})
	s.must("teardown", "--all", "--yes")
	s.expectRemains("--all", oneForm, "")
}

func TestTeardownRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	s := newTornStack(t)
	for _, c := range []struct {
		args []string
		over map[string]string
		want string
	}{
		{[]string{"teardown"}, nil, "say what to remove"},
		{[]string{"teardown", "--yes"}, nil, "say what to remove"},
		{[]string{"teardown", "--webhooks"}, nil, "webhook.url"},
		{[]string{"teardown", "--schemas"}, map[string]string{"LEADSTREAM_REGISTRY_URL": ""}, "registry.url"},
	} {
		got := s.run(t.Context(), c.over, c.args...)
		if got.code != exitUsage || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%v: exit %d %q, want %d and %q", c.args, got.code, got.stderr, exitUsage, c.want)
		}
	}
	s.must("run", "--once")
	operatingOn(t, s)
	got := s.run(t.Context(), nil, "teardown", "--all", "--yes")
	if got.code != exitUsage || !strings.Contains(got.stderr, "running") {
		t.Errorf("beside a running connector: exit %d %q", got.code, got.stderr)
	}
	s.expectRemains("afterwards", "leadstream.checkpoints leadstream.deadletters leadstream.deletions "+oneForm, oneFormSubject)
}

// webhooks are the settings of an installation that LinkedIn notifies.
var webhooks = map[string]string{"LEADSTREAM_WEBHOOK_LISTEN": "127.0.0.1:0", "LEADSTREAM_WEBHOOK_URL": "https://leads.example.com"}

func TestTeardownNamesTheOrganizationsWhoseSubscriptionsItCannotSee(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]linkedinsim.Fault{
		"the role was lost": {Kind: linkedinsim.LoseRole},
		"LinkedIn refuses":  {Kind: linkedinsim.StatusFault, Status: 403, Endpoint: "leadNotifications", Count: -1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Seed: 1})
			fault.Owner = s.sim.Describe().Organizations[0].URN
			over := maps.Clone(webhooks)
			over["LEADSTREAM_LINKEDIN_ORGANIZATIONS"] = fault.Owner
			if err := s.sim.Schedule(fault); err != nil {
				t.Fatal(err)
			}
			got := s.run(t.Context(), over, "teardown", "--webhooks", "--yes", "-o", "json")
			var plan []teardown.Removal
			if err := json.Unmarshal([]byte(got.stdout), &plan); err != nil || got.code != exitDone {
				t.Fatalf("exit %d, %v: %s%s", got.code, err, got.stdout, got.stderr)
			}
			if len(plan) != 1 || plan[0].Kind != "subscriptions" || plan[0].Name != fault.Owner || plan[0].Note == "" || plan[0].Done {
				t.Errorf("the plan is %+v, want that the subscriptions of %s are left alone, and why", plan, fault.Owner)
			}
		})
	}
}

func TestTeardownEndsOurSubscriptionsAlone(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Seed: 1})
	c, _, err := config.Load(config.LoadOptions{NoFile: true, Environ: s.environ(nil)})
	if err != nil {
		t.Fatal(err)
	}
	system, err := build(c, useTokens, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer system.close()
	orgs, err := system.linkedin.Organizations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, org := range orgs {
		for _, hook := range []string{"https://leads.example.com/webhooks/linkedin", "https://other.example.com/hook"} {
			if _, err := system.linkedin.Subscribe(t.Context(), lead.Source{Owner: org.URN, Type: "EVENT"}, hook); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := s.run(t.Context(), webhooks, "teardown", "--webhooks", "--yes"); got.code != exitDone {
		t.Fatalf("exit %d: %s", got.code, got.stderr)
	}
	for _, hook := range s.sim.Webhooks() {
		if n := len(hook.Subscriptions); (n > 0) == strings.Contains(hook.Webhook, "leads.example.com") {
			t.Errorf("%s has %d subscriptions", hook.Webhook, n)
		}
	}
}

package kafka

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"leadstream/internal/fault"
)

// policy has the broker refuse topics as a managed cluster does: for which it says so.
func policy(f *kfake.Cluster, code Code, refuses func(kmsg.CreateTopicsRequestTopic) string) (asked *atomic.Int32) {
	asked = &atomic.Int32{}
	f.ControlKey(int16(protocol.CreateTopics), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		asked.Add(1)
		req := kreq.(*kmsg.CreateTopicsRequest)
		res := kreq.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, topic := range req.Topics {
			one := kmsg.NewCreateTopicsResponseTopic()
			one.Topic, one.ReplicationFactor = topic.Topic, 3
			if reason := refuses(topic); reason != "" {
				one.ErrorCode, one.ErrorMessage = int16(code), &reason
			} else if !req.ValidateOnly {
				return nil, nil, false
			}
			res.Topics = append(res.Topics, one)
		}
		return res, nil, true
	})
	return asked
}

// refusing is a policy that does not allow these settings, however many they are.
func refusing(keys ...string) func(kmsg.CreateTopicsRequestTopic) string {
	return func(topic kmsg.CreateTopicsRequestTopic) string {
		for _, c := range topic.Configs {
			if slices.Contains(keys, c.Name) {
				return "a setting is not allowed here"
			}
		}
		return ""
	}
}

// managed is a topic with settings of ours and one of a person's.
func managed(name string) TopicSpec {
	return TopicSpec{Name: name, Partitions: 1, MinInSync: 2,
		Configs:  map[string]string{"cleanup.policy": "compact", "segment.bytes": "1048576", "segment.ms": "3600000", "max.message.bytes": "2000000"},
		Optional: map[string]bool{"segment.bytes": true, "segment.ms": true}, Given: map[string]string{"max.message.bytes": "kafka.topic_config"}}
}

// TestASettingThatTheClusterRefusesIsLeftOutWhereItCanBe, with a warning that names it,
// and the others stay; one that a person wrote, or that cannot be done without, is an
// error that names it.
func TestASettingThatTheClusterRefusesIsLeftOutWhereItCanBe(t *testing.T) {
	for name, tt := range map[string]struct {
		refused []string
		want    string            // in the error
		settled map[string]string // the settings that it gets
		warned  int
	}{
		"none":                  {nil, "", map[string]string{"segment.bytes": "1048576", "segment.ms": "3600000", "min.insync.replicas": "2"}, 0},
		"one of ours":           {[]string{"segment.bytes"}, "", map[string]string{"segment.bytes": "", "segment.ms": "3600000", "min.insync.replicas": "2"}, 1},
		"all of ours":           {[]string{"segment.bytes", "segment.ms", "min.insync.replicas"}, "", map[string]string{"segment.bytes": "", "segment.ms": "", "min.insync.replicas": ""}, 3},
		"how many are in sync":  {[]string{"min.insync.replicas"}, "", map[string]string{"segment.bytes": "1048576", "min.insync.replicas": ""}, 1},
		"a person's":            {[]string{"max.message.bytes"}, "max.message.bytes=2000000; change it in kafka.topic_config", nil, 0},
		"a person's and ours":   {[]string{"max.message.bytes", "segment.ms"}, "max.message.bytes=2000000; change it in kafka.topic_config", nil, 0},
		"what must be":          {[]string{"cleanup.policy"}, "cleanup.policy=compact; leadstream cannot do without it", nil, 0},
		"whatever is not there": {[]string{"retention.ms"}, "", map[string]string{"segment.bytes": "1048576"}, 0},
	} {
		for _, code := range []Code{codePolicyViolation, codeInvalidConfig} {
			t.Run(name+", "+code.String(), func(t *testing.T) {
				_, f := fake(t)
				log, logs := observed()
				c := connect(t, Config{Brokers: f.ListenAddrs(), Log: log})
				policy(f, code, refusing(tt.refused...))
				results, err := c.Admin.CreateTopics(t.Context(), []TopicSpec{managed("a")})
				if err != nil {
					t.Fatal(err)
				}
				if tt.want != "" {
					setting, ok := errors.AsType[*SettingError](results["a"])
					if !ok || !strings.Contains(results["a"].Error(), tt.want) || !strings.Contains(results["a"].Error(), "not allowed here") || fault.KindOf(results["a"]) != fault.Suspend || fault.TodoOf(results["a"]) != setting.Todo() {
						t.Errorf("CreateTopics = %v, want a *SettingError with %q", results["a"], tt.want)
					}
					return
				}
				if results["a"] != nil {
					t.Fatal(results["a"])
				}
				info, err := c.Admin.DescribeTopics(t.Context(), []string{"a"}, slices.Collect(maps.Keys(tt.settled))...)
				if err != nil {
					t.Fatal(err)
				}
				for key, want := range tt.settled {
					if got := info["a"].Configs[key]; want != "" && got != want || want == "" && (got == "1048576" || got == "3600000" || got == "2") {
						t.Errorf("%s is %q, want %q", key, got, want)
					}
				}
				warnings := logs.FilterLevelExact(zap.WarnLevel)
				if warnings.Len() != tt.warned {
					t.Errorf("%d warnings, want %d: %v", warnings.Len(), tt.warned, warnings.All())
				}
				for _, entry := range warnings.All() {
					if setting, _ := entry.ContextMap()["setting"].(string); !slices.Contains(tt.refused, strings.Split(setting, "=")[0]) {
						t.Errorf("%q is warned of", setting)
					}
				}
			})
		}
	}
}

// TestWhatAClusterRefusesIsFoundOutOnce, not for each topic.
func TestWhatAClusterRefusesIsFoundOutOnce(t *testing.T) {
	c, f := fake(t)
	asked := policy(f, codePolicyViolation, refusing("segment.bytes"))
	make := func(names ...string) {
		t.Helper()
		var specs []TopicSpec
		for _, name := range names {
			specs = append(specs, managed(name))
		}
		results, err := c.Admin.CreateTopics(t.Context(), specs)
		for _, refused := range results {
			err = errors.Join(err, refused)
		}
		if err != nil || len(results) != len(names) {
			t.Fatal(results, err)
		}
	}
	make("a")
	asked.Store(0)
	make("b")
	if n := asked.Load(); n > 2 {
		t.Errorf("%d requests for the next topic, want a validation and the creation", n)
	}
}

// TestARefusalThatIsNotForASettingIsToldAsItIs: for what topics have beside settings, or for
// several of them together.
func TestARefusalThatIsNotForASettingIsToldAsItIs(t *testing.T) {
	for name, refuses := range map[string]func(kmsg.CreateTopicsRequestTopic) string{
		"always": func(kmsg.CreateTopicsRequestTopic) string { return "three replicas at least" },
		"all of them": func(topic kmsg.CreateTopicsRequestTopic) string {
			return map[bool]string{true: "too many settings"}[len(topic.Configs) > 3]
		},
		"the user's both": func(topic kmsg.CreateTopicsRequestTopic) string {
			return map[bool]string{true: "no two settings"}[len(topic.Configs) > 1]
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := fake(t)
			policy(f, codePolicyViolation, refuses)
			results, err := c.Admin.CreateTopics(t.Context(), []TopicSpec{managed("a")})
			if err != nil {
				t.Fatal(err)
			}
			refused, ok := errors.AsType[*TopicError](results["a"])
			setting, named := errors.AsType[*SettingError](results["a"])
			if !ok || refused.Code != codePolicyViolation || named != (name == "the user's both") {
				t.Errorf("CreateTopics = %v", results["a"])
			}
			if named && (len(setting.Settings) != 2 || setting.Given == "") {
				t.Errorf("the settings are %v", setting.Settings)
			}
		})
	}
}

// TestPermissionsSayWhatTopicsWouldLack, without making one.
func TestPermissionsSayWhatTopicsWouldLack(t *testing.T) {
	for key, want := range map[string]int{"segment.bytes": 0, "max.message.bytes": 1} {
		c, f := fake(t)
		policy(f, codePolicyViolation, refusing(key))
		found, err := c.Admin.Permissions(t.Context(), Access{Group: "g", TransactionalID: "t", Absent: managed("a")})
		if err != nil || len(found.Refused) != want || len(found.LeftOut) != 1-want {
			t.Errorf("%s: %+v, %v", key, found, err)
		}
		if topics, err := c.Admin.DescribeTopics(t.Context(), []string{"a"}); err != nil || len(topics) > 0 {
			t.Errorf("topics %v, %v", topics, err)
		}
	}
}

package kafka

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/segmentio/kafka-go/protocol/createtopics"
)

const keyMinInSync = "min.insync.replicas"

// sized is the spec for a topic of that many replicas.
func (s TopicSpec) sized(replicas int) TopicSpec {
	if _, given := s.Configs[keyMinInSync]; given || s.MinInSync <= 0 || replicas <= s.MinInSync {
		return s
	}
	configs := maps.Clone(s.Configs)
	if configs == nil {
		configs = map[string]string{}
	}
	configs[keyMinInSync] = strconv.Itoa(s.MinInSync)
	s.Configs = configs
	s.Optional = maps.Clone(s.Optional)
	if s.Optional == nil {
		s.Optional = map[string]bool{}
	}
	s.Optional[keyMinInSync] = true
	return s
}

// withMinInSync sizes the specs. Where the broker decides on the number of
// replicas it is asked beforehand, by the validation of what is to be created:
// the answer has the number for who may create the topic and describe its
// configuration, which we must be allowed anyway. Afterwards would be too late,
// for to alter a topic is another permission, and we could die in between. A
// topic whose number is not told keeps the broker's min.insync.replicas.
//
// Source: KIP-525 (Kafka 2.4, as is the default of replicas, KIP-464); seen on
// Kafka 4.4.
func (a *Admin) withMinInSync(ctx context.Context, specs []TopicSpec) ([]TopicSpec, error) {
	req := &createtopics.Request{TimeoutMs: int32(adminTimeout.Milliseconds()), ValidateOnly: true}
	for _, s := range specs {
		if s.MinInSync > 0 && s.ReplicationFactor <= 0 {
			req.Topics = append(req.Topics, a.trimmed(s.sized(s.MinInSync+1)).request())
		}
	}
	replicas := map[string]int{}
	if len(req.Topics) > 0 {
		msg, err := a.askController(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, t := range msg.(*createtopics.Response).Topics {
			// What is refused here the creation is refused too, and says so.
			code := Code(t.ErrorCode)
			if code.retriable() {
				return nil, &codeError{op: "validating the creation of topic " + t.Name, code: code, reason: t.ErrorMessage}
			}
			if replicas[t.Name] = int(t.ReplicationFactor); code != codeInvalidConfig && code != codePolicyViolation {
				continue
			}
			at := slices.IndexFunc(specs, func(s TopicSpec) bool { return s.Name == t.Name })
			if at < 0 {
				continue
			}
			n, refused, err := a.validate(ctx, a.trimmed(specs[at])) // perhaps for this setting
			if err != nil {
				return nil, err
			}
			if refused == nil {
				replicas[t.Name] = n
			}
		}
	}
	sized := make([]TopicSpec, len(specs))
	for i, s := range specs {
		if s.ReplicationFactor > 0 {
			replicas[s.Name] = s.ReplicationFactor
		}
		sized[i] = a.trimmed(s.sized(replicas[s.Name]))
	}
	return sized, nil
}

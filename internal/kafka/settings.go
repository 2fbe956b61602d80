package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go/protocol/createtopics"
	"go.uber.org/zap"
)

// SettingError says that the cluster makes no topic with these settings: managed ones
// allow some values only, or none at all.
type SettingError struct {
	Settings []string // as key=value
	// Given is where they can be changed, empty where they are not the user's.
	Given string
}

func (e *SettingError) Error() string {
	return "the cluster refuses " + strings.Join(e.Settings, ", ") + "; " + e.Todo()
}

// Todo is what a person can do about it.
func (e *SettingError) Todo() string {
	if e.Given == "" {
		return "leadstream cannot do without it: have the cluster allow it, or make the topic by hand"
	}
	return "change it in " + e.Given + ", or have the cluster allow it"
}

// refusedForSettings reports whether a topic was refused for what it was to be made
// with, which may be its settings.
func refusedForSettings(err error) bool {
	refused, ok := errors.AsType[*TopicError](err)
	return ok && (refused.Code == codeInvalidConfig || refused.Code == codePolicyViolation)
}

// trimmed is the spec without those of its optional settings that the cluster refuses.
func (a *Admin) trimmed(s TopicSpec) TopicSpec {
	a.refusals.Lock()
	defer a.refusals.Unlock()
	configs := maps.Clone(s.Configs)
	maps.DeleteFunc(configs, func(key, value string) bool {
		_, refused := a.refused[key+"="+value]
		return refused && s.Optional[key]
	})
	s.Configs = configs
	return s
}

// RefusedSettings are the settings, as key=value, that topics are made without because
// the cluster refuses them, to its reasons.
func (a *Admin) RefusedSettings() map[string]string {
	a.refusals.Lock()
	defer a.refusals.Unlock()
	return maps.Clone(a.refused)
}

// findRefused finds out which of its settings a topic is refused for, by the validation
// of others like it, and notes the optional ones, each said once. The error is that of
// the topic where it cannot be made without what is refused.
func (a *Admin) findRefused(ctx context.Context, s TopicSpec, refusal error) error {
	with := func(keys ...string) (error, error) {
		part := s
		part.Configs = map[string]string{}
		for _, key := range keys {
			part.Configs[key] = s.Configs[key]
		}
		_, refused, err := a.validate(ctx, part)
		return refused, err
	}
	var needed, optional []string
	for _, key := range slices.Sorted(maps.Keys(s.Configs)) {
		if s.Optional[key] {
			optional = append(optional, key)
		} else {
			needed = append(needed, key)
		}
	}
	switch refused, err := with(needed...); {
	case err != nil:
		return err
	case refusedForSettings(refused):
		return a.blame(s, needed, refused, with)
	case refused != nil:
		return refused
	}
	learnt := false
	for _, key := range optional {
		refused, err := with(append(slices.Clone(needed), key)...)
		if err != nil {
			return err
		}
		if refusedForSettings(refused) {
			learnt = true
			a.leaveOut(s.Name, key+"="+s.Configs[key], refused)
		}
	}
	if !learnt {
		return refusal // all together are refused, and none alone
	}
	return nil
}

// blame names which of the settings that a topic must have are refused; refused is the
// topic with all of them. Without any it may be refused as well, for something else.
func (a *Admin) blame(s TopicSpec, needed []string, refused error, with func(...string) (error, error)) error {
	bare, err := with()
	if err != nil {
		return err
	}
	if bare != nil {
		return bare
	}
	var guilty []string
	for _, key := range needed {
		alone, err := with(key)
		if err != nil {
			return err
		}
		if alone != nil {
			guilty, refused = append(guilty, key), alone
		}
	}
	if len(guilty) == 0 {
		guilty = needed
	}
	topic, _ := errors.AsType[*TopicError](refused)
	found := &SettingError{}
	for _, key := range guilty {
		found.Settings = append(found.Settings, key+"="+s.Configs[key])
		if s.Given[key] != "" {
			found.Given = s.Given[key]
		}
	}
	return &TopicError{Topic: s.Name, Code: topic.Code, Reason: topic.Reason, Index: -1, Err: found}
}

// leaveOut notes that topics are made without a setting from now on.
func (a *Admin) leaveOut(topic, setting string, refused error) {
	a.refusals.Lock()
	_, said := a.refused[setting]
	reason := refused.Error()
	if refusal, ok := errors.AsType[*TopicError](refused); ok {
		reason = refusal.Code.String() + ": " + theirWords(refusal.Reason)
	}
	a.refused[setting] = reason
	a.refusals.Unlock()
	if !said {
		a.log.Warn("the cluster refuses a setting that leadstream gives to its topics; they are made without it",
			zap.String("setting", setting), zap.String("topic", topic), zap.String("reason", reason),
			zap.String("todo", "nothing, or set in kafka.topic_config or kafka.internal_topic_config what the cluster takes"))
	}
}

// validate asks whether a topic could be made: refused says why not, else replicas how
// many it would get.
func (a *Admin) validate(ctx context.Context, s TopicSpec) (replicas int, refused, failed error) {
	failed = a.retry(ctx, "validating the creation of topic "+s.Name, func(ctx context.Context) error {
		msg, err := a.askController(ctx, &createtopics.Request{
			TimeoutMs: int32(adminTimeout.Milliseconds()), ValidateOnly: true, Topics: []createtopics.RequestTopic{s.request()},
		})
		if err != nil {
			return err
		}
		refused = nil
		for _, t := range msg.(*createtopics.Response).Topics {
			code := Code(t.ErrorCode)
			if code.retriable() {
				return &codeError{op: "validating the creation of topic " + s.Name, code: code, reason: t.ErrorMessage}
			}
			if replicas = int(t.ReplicationFactor); code != codeTopicExists {
				refused = createResult(s.Name, code, t.ErrorMessage)
			}
		}
		return nil
	})
	return replicas, refused, failed
}

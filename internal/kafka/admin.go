package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/deletetopics"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"

	"leadstream/internal/fault"
)

const (
	// topicsPerRequest bounds one request to create, delete or read the
	// configuration of topics: each creation costs the controller some work,
	// and all of them share one timeout.
	topicsPerRequest = 100
	adminTimeout     = 8 * time.Second // below requestTimeout, so that the broker's answer comes first
	// visibleWithin is how long to wait for one more of the topics just created
	// to have its leaders: a busy broker takes 10 ms for each.
	visibleWithin = 10 * time.Second
)

// Admin makes, describes and deletes topics, and tells what a cluster is and allows.
type Admin struct {
	*network

	refusals sync.Mutex        // guards refused
	refused  map[string]string // see RefusedSettings
}

// TopicSpec describes a topic to create.
type TopicSpec struct {
	Name              string
	Partitions        int // at least 1
	ReplicationFactor int // below 1: the broker's default
	// MinInSync is min.insync.replicas of a topic that gets more replicas than
	// that, whoever decides how many, unless Configs have it; 0: the broker's.
	MinInSync int
	Configs   map[string]string
	// Optional are the keys of Configs without which the topic is made where the cluster
	// refuses them.
	Optional map[string]bool
	// Given is by key of Configs where a person set it, for errors.
	Given map[string]string
}

// TopicInfo describes a topic that exists.
type TopicInfo struct {
	Partitions        int
	ReplicationFactor int               // of partition 0
	Configs           map[string]string // the keys that were asked for
}

// CreateTopics creates topics and waits until those it created can be written
// to. For each name it says nil, ErrTopicExists or a *TopicError with the
// broker's reason; the second result is for failures of the whole call, after
// which some topics may have been created. Optional settings that the cluster refuses
// are left out, each with a warning; the error of one that is not holds a
// *SettingError.
func (a *Admin) CreateTopics(ctx context.Context, specs []TopicSpec) (map[string]error, error) {
	results := make(map[string]error, len(specs))
	for chunk := range slices.Chunk(specs, topicsPerRequest) {
		if err := a.createFitting(ctx, chunk, results); err != nil {
			return results, err
		}
	}
	var created []string
	for name, err := range results {
		if err == nil {
			created = append(created, name)
		}
	}
	return results, a.awaitTopics(ctx, created)
}

// createFitting creates topics with what of their settings the cluster takes.
func (a *Admin) createFitting(ctx context.Context, specs []TopicSpec, results map[string]error) error {
	const rounds = 3 // how many replicas a topic gets, and so one more setting, is told only for one that can be made
	for round := range rounds {
		var sized []TopicSpec
		err := a.retry(ctx, "creating topics", func(ctx context.Context) (err error) {
			if sized, err = a.withMinInSync(ctx, specs); err != nil {
				return err
			}
			return a.create(ctx, sized, results)
		})
		if err != nil || round == rounds-1 {
			return err
		}
		specs = nil
		for _, s := range sized {
			refusal := results[s.Name]
			if !refusedForSettings(refusal) {
				continue
			}
			if s = a.trimmed(s); len(s.Configs) > 0 {
				refusal = a.findRefused(ctx, s, refusal)
			}
			if _, final := errors.AsType[*TopicError](refusal); final {
				results[s.Name] = refusal
				continue
			}
			if refusal != nil {
				return refusal
			}
			delete(results, s.Name)
			specs = append(specs, s)
		}
		if len(specs) == 0 {
			return nil
		}
	}
	return nil
}

// create sends one request for the topics that have no result yet. A topic
// whose creation was asked for by an attempt without an answer exists when the
// next attempt comes: it counts as created by somebody else.
func (a *Admin) create(ctx context.Context, specs []TopicSpec, results map[string]error) error {
	req := &createtopics.Request{TimeoutMs: int32(adminTimeout.Milliseconds())}
	for _, s := range specs {
		if _, done := results[s.Name]; done {
			continue
		}
		req.Topics = append(req.Topics, s.request())
	}
	if len(req.Topics) == 0 {
		return nil
	}
	msg, err := a.askController(ctx, req)
	if err != nil {
		return err
	}
	var again error
	for _, t := range msg.(*createtopics.Response).Topics {
		code := Code(t.ErrorCode)
		if code.retriable() {
			again = &codeError{op: "creating topic " + t.Name, code: code, reason: t.ErrorMessage}
			continue
		}
		results[t.Name] = createResult(t.Name, code, t.ErrorMessage)
	}
	return again
}

// request asks for the creation of the topic.
func (s TopicSpec) request() createtopics.RequestTopic {
	topic := createtopics.RequestTopic{Name: s.Name, NumPartitions: int32(s.Partitions), ReplicationFactor: -1}
	if s.ReplicationFactor > 0 {
		topic.ReplicationFactor = int16(s.ReplicationFactor)
	}
	for key, value := range s.Configs {
		topic.Configs = append(topic.Configs, createtopics.RequestConfig{Name: key, Value: value})
	}
	return topic
}

func createResult(topic string, code Code, reason string) error {
	switch code {
	case 0:
		return nil
	case codeTopicExists:
		return ErrTopicExists
	case codeTopicAuthorization, codeClusterAuthorization:
		return &TopicError{Topic: topic, Code: code, Index: -1, Err: topicPermission(topic, "Create")}
	default:
		return &TopicError{Topic: topic, Code: code, Reason: reason, Index: -1}
	}
}

// awaitTopics waits until every partition of the topics has a leader: creation
// is answered before all brokers know of it.
func (a *Admin) awaitTopics(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	progress := time.Now()
	pause := fault.NewBackoff(5*time.Millisecond, 500*time.Millisecond)
	for {
		topics, err := a.describe(ctx, names, 0)
		if err == nil {
			waiting := len(names)
			names = slices.DeleteFunc(names, func(n string) bool {
				meta, ok := topics[n]
				return ok && !slices.Contains(meta.leaders, -1)
			})
			if len(names) == 0 {
				return nil
			}
			if len(names) < waiting {
				progress = time.Now()
			}
			err = &codeError{op: "waiting for topic " + names[0], code: codeLeaderNotAvailable}
		}
		if !retriable(err) || time.Since(progress) > visibleWithin {
			return settled("waiting for the topics just created", err)
		}
		if waited := pause.Wait(ctx, 0); waited != nil {
			return fmt.Errorf("waiting for the topics just created: %w", context.Cause(ctx))
		}
	}
}

// DescribeTopics describes the named topics and the values of the named
// configuration keys, effective ones, so also those that are defaults. A topic
// that does not exist is absent. It asks for nothing but these topics.
func (a *Admin) DescribeTopics(ctx context.Context, names []string, configKeys ...string) (map[string]TopicInfo, error) {
	infos := make(map[string]TopicInfo, len(names))
	err := a.retry(ctx, "describing topics", func(ctx context.Context) error {
		topics, err := a.describe(ctx, names, 0)
		if err != nil {
			return err
		}
		for name, meta := range topics {
			infos[name] = TopicInfo{Partitions: len(meta.leaders), ReplicationFactor: meta.replicas}
		}
		return nil
	})
	if err != nil || len(configKeys) == 0 {
		return infos, err
	}
	existing := slices.DeleteFunc(slices.Clone(names), func(n string) bool { _, ok := infos[n]; return !ok })
	for chunk := range slices.Chunk(existing, topicsPerRequest) {
		err := a.retry(ctx, "reading the configuration of topics", func(ctx context.Context) error {
			return a.describeConfigs(ctx, chunk, configKeys, infos)
		})
		if err != nil {
			return nil, err
		}
	}
	return infos, nil
}

const resourceTopic = 2 // ConfigResource.Type of Apache Kafka

func (a *Admin) describeConfigs(ctx context.Context, names, keys []string, infos map[string]TopicInfo) error {
	req := &describeconfigs.Request{}
	for _, name := range names {
		req.Resources = append(req.Resources, describeconfigs.RequestResource{
			ResourceType: resourceTopic, ResourceName: name, ConfigNames: keys,
		})
	}
	msg, err := a.askAny(ctx, req)
	if err != nil {
		return err
	}
	for _, r := range msg.(*describeconfigs.Response).Resources {
		switch code := Code(r.ErrorCode); code {
		case 0:
		case codeUnknownTopic: // deleted meanwhile
			delete(infos, r.ResourceName)
			continue
		case codeTopicAuthorization:
			return &TopicError{Topic: r.ResourceName, Code: code, Index: -1, Err: topicPermission(r.ResourceName, "DescribeConfigs")}
		default:
			if !code.retriable() {
				return &TopicError{Topic: r.ResourceName, Code: code, Reason: r.ErrorMessage, Index: -1}
			}
			return &codeError{op: "reading the configuration of topic " + r.ResourceName, code: code, reason: r.ErrorMessage}
		}
		info := infos[r.ResourceName]
		info.Configs = make(map[string]string, len(r.ConfigEntries))
		for _, entry := range r.ConfigEntries {
			info.Configs[entry.ConfigName] = entry.ConfigValue
		}
		infos[r.ResourceName] = info
	}
	return nil
}

// DeleteTopics deletes topics; those that do not exist are no error. The first
// refusal is returned as a *TopicError after all have been tried.
func (a *Admin) DeleteTopics(ctx context.Context, names []string) error {
	var refusals []error
	for chunk := range slices.Chunk(names, topicsPerRequest) {
		err := a.retry(ctx, "deleting topics", func(ctx context.Context) error {
			refused, err := a.delete(ctx, chunk)
			refusals = append(refusals, refused...)
			return err
		})
		if err != nil {
			return err
		}
	}
	a.forget(names...)
	return errors.Join(refusals...)
}

// delete sends one request. Code 3 is success here, so unlike elsewhere it is
// not repeated.
func (a *Admin) delete(ctx context.Context, names []string) (refused []error, again error) {
	msg, err := a.askController(ctx, &deletetopics.Request{TopicNames: names, TimeoutMs: int32(adminTimeout.Milliseconds())})
	if err != nil {
		return nil, err
	}
	for _, t := range msg.(*deletetopics.Response).Responses {
		switch code := Code(t.ErrorCode); {
		case code == 0, code == codeUnknownTopic:
		case code == codeTopicAuthorization:
			refused = append(refused, &TopicError{Topic: t.Name, Code: code, Index: -1, Err: topicPermission(t.Name, "Delete")})
		case code.retriable():
			again = &codeError{op: "deleting topic " + t.Name, code: code}
		default:
			refused = append(refused, &TopicError{Topic: t.Name, Code: code, Index: -1})
		}
	}
	return refused, again
}

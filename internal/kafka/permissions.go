package kafka

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/protocol/heartbeat"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// Access is what an installation has to be allowed.
type Access struct {
	Group           string // Describe and Read
	TransactionalID string // Describe and Write
	// Topics are to be described, read, written to and their configuration read,
	// whether they exist or not.
	Topics []string
	// Absent does not exist; the same is to be allowed of it, and to create it.
	Absent TopicSpec
	// Create are further topics that are to be created.
	Create []TopicSpec
}

// Permissions is what was found out about an Access.
type Permissions struct {
	// Missing are the permissions that a broker denied, in the order of Access.
	Missing []AuthorizationError
	// Untold are those that cannot be told before Missing is granted.
	Untold []AuthorizationError
	// Refused are the topics that could not be created although it is allowed,
	// with the broker's reason.
	Refused []*TopicError
	// LeftOut are the settings, as key=value, that topics would be created without
	// because the cluster refuses them, to its reasons.
	LeftOut map[string]string
}

// Permissions finds out what we are allowed to do, without doing it: a broker
// looks at permissions before anything else, so that each question is put with
// something that cannot be carried out or has no effect.
//
// Write on a topic and on the transactional id is asked by adding partitions to
// a transaction of no producer, of which one belongs to a topic that does not
// exist: the broker says of each topic whether it may be written to, and adds
// none of them when one cannot be. Neither the transaction of a connector that
// runs nor its epoch is touched. Read is asked by fetching from beyond the end,
// Read on the group by the heartbeat of no member, Create by a validation.
//
// Source: Apache Kafka, KafkaApis (AddPartitionsToTxn, Fetch, Heartbeat);
// KIP-98; each seen on Kafka 4.4.
func (adm *Admin) Permissions(ctx context.Context, a Access) (Permissions, error) {
	topics := append(slices.Clone(a.Topics), a.Absent.Name)
	var p Permissions
	for _, ask := range []func(context.Context) error{
		func(ctx context.Context) error { return adm.askMetadata(ctx, topics, &p) },
		func(ctx context.Context) error { return adm.askConfigs(ctx, topics, &p) },
		func(ctx context.Context) error { return adm.askFetch(ctx, topics, &p) },
		func(ctx context.Context) error { return adm.askAdd(ctx, a, &p) },
		func(ctx context.Context) error { return adm.askCreate(ctx, a, &p) },
		func(ctx context.Context) error { return adm.askIDs(ctx, a, &p) },
	} {
		found := p
		err := adm.retry(ctx, "asking for permissions", func(ctx context.Context) error {
			p = found // an attempt that failed may have got halfway
			return ask(ctx)
		})
		if err != nil {
			return Permissions{}, err
		}
	}
	return p, nil
}

// deny notes a permission that is missing, once.
func (p *Permissions) deny(resource, name, operation string) {
	missing := AuthorizationError{Resource: resource, Name: name, Operation: operation}
	if !slices.Contains(p.Missing, missing) {
		p.Missing = append(p.Missing, missing)
	}
}

func (adm *Admin) askMetadata(ctx context.Context, topics []string, p *Permissions) error {
	for chunk := range slices.Chunk(topics, namesPerRequest) {
		msg, err := adm.askAny(ctx, &metadata.Request{TopicNames: chunk})
		if err != nil {
			return err
		}
		for _, t := range msg.(*metadata.Response).Topics {
			if Code(t.ErrorCode) == codeTopicAuthorization {
				p.deny("topic", t.Name, "Describe")
			}
		}
	}
	return nil
}

func (adm *Admin) askConfigs(ctx context.Context, topics []string, p *Permissions) error {
	for chunk := range slices.Chunk(topics, topicsPerRequest) {
		req := &describeconfigs.Request{}
		for _, name := range chunk {
			req.Resources = append(req.Resources, describeconfigs.RequestResource{
				ResourceType: resourceTopic, ResourceName: name, ConfigNames: []string{"cleanup.policy"},
			})
		}
		msg, err := adm.askAny(ctx, req)
		if err != nil {
			return err
		}
		for _, r := range msg.(*describeconfigs.Response).Resources {
			if Code(r.ErrorCode) == codeTopicAuthorization {
				p.deny("topic", r.ResourceName, "DescribeConfigs")
			}
		}
	}
	return nil
}

// askFetch asks for Read. Any broker will do: one that does not lead the
// partition says so after it has looked at the permission.
func (adm *Admin) askFetch(ctx context.Context, topics []string, p *Permissions) error {
	for chunk := range slices.Chunk(topics, topicsPerRequest) {
		req := &fetch.Request{ReplicaID: -1, MaxBytes: 1, SessionEpoch: -1}
		for _, name := range chunk {
			req.Topics = append(req.Topics, fetch.RequestTopic{Topic: name, Partitions: []fetch.RequestPartition{{
				CurrentLeaderEpoch: -1, FetchOffset: math.MaxInt64, LogStartOffset: -1, PartitionMaxBytes: 1,
			}}})
		}
		msg, err := adm.askAny(ctx, req)
		if err != nil {
			return err
		}
		for _, t := range msg.(*fetch.Response).Topics {
			for _, part := range t.Partitions {
				if Code(part.ErrorCode) == codeTopicAuthorization {
					p.deny("topic", t.Topic, "Read")
				}
			}
		}
	}
	return nil
}

// askAdd asks for Write on the transactional id and the topics.
func (adm *Admin) askAdd(ctx context.Context, a Access, p *Permissions) error {
	for chunk := range slices.Chunk(append(slices.Clone(a.Topics), a.Absent.Name), topicsPerRequest) {
		if !slices.Contains(chunk, a.Absent.Name) {
			chunk = append(slices.Clone(chunk), a.Absent.Name)
		}
		req := &addpartitionstotxn.Request{TransactionalID: a.TransactionalID, ProducerID: -1, ProducerEpoch: -1}
		for _, name := range chunk {
			req.Topics = append(req.Topics, addpartitionstotxn.RequestTopic{Name: name, Partitions: []int32{0}})
		}
		msg, err := adm.askAny(ctx, req)
		if err != nil {
			return err
		}
		for _, t := range msg.(*addpartitionstotxn.Response).Results {
			for _, part := range t.Results {
				switch Code(part.ErrorCode) {
				case codeTopicAuthorization:
					p.deny("topic", t.Name, "Write")
				case codeTxnIDAuthorization:
					p.deny("transactional-id", a.TransactionalID, "Write")
					p.Untold = append(p.Untold, *topicPermission(t.Name, "Write"))
				default:
				}
			}
		}
	}
	return nil
}

// askCreate has the controller validate the creation of topics.
func (adm *Admin) askCreate(ctx context.Context, a Access, p *Permissions) error {
	specs := append(slices.Clone(a.Create), a.Absent)
	for chunk := range slices.Chunk(specs, topicsPerRequest) {
		sized := make([]TopicSpec, len(chunk))
		req := &createtopics.Request{TimeoutMs: int32(adminTimeout.Milliseconds()), ValidateOnly: true}
		for i, s := range chunk {
			sized[i] = adm.trimmed(s.sized(s.ReplicationFactor))
			req.Topics = append(req.Topics, sized[i].request())
		}
		msg, err := adm.askController(ctx, req)
		if err != nil {
			return err
		}
		for _, t := range msg.(*createtopics.Response).Topics {
			switch code := Code(t.ErrorCode); {
			case code == 0, code == codeTopicExists:
			case code == codeTopicAuthorization, code == codeClusterAuthorization:
				p.deny("topic", t.Name, "Create")
			case code.retriable():
				return &codeError{op: "validating the creation of topic " + t.Name, code: code, reason: t.ErrorMessage}
			default:
				if err := adm.askWithout(ctx, sized, createResult(t.Name, code, t.ErrorMessage), p); err != nil {
					return err
				}
			}
		}
	}
	p.LeftOut = adm.RefusedSettings()
	return nil
}

// askWithout notes a topic that cannot be created, unless it can be without its
// optional settings.
func (adm *Admin) askWithout(ctx context.Context, specs []TopicSpec, refusal error, p *Permissions) error {
	refused, ok := errors.AsType[*TopicError](refusal)
	if !ok {
		return refusal
	}
	at := slices.IndexFunc(specs, func(s TopicSpec) bool { return s.Name == refused.Topic })
	if at >= 0 && refusedForSettings(refusal) && len(specs[at].Configs) > 0 {
		err := adm.findRefused(ctx, specs[at], refusal)
		if err == nil {
			return nil
		}
		if refused, ok = errors.AsType[*TopicError](err); !ok {
			return err
		}
	}
	p.Refused = append(p.Refused, refused)
	return nil
}

// askIDs asks for the group, and for Describe on the transactional id.
func (adm *Admin) askIDs(ctx context.Context, a Access, p *Permissions) error {
	for _, id := range []struct {
		resource, name string
		kind           int8 // of FindCoordinator
	}{{"group", a.Group, 0}, {"transactional-id", a.TransactionalID, 1}} {
		msg, err := adm.askAny(ctx, &findcoordinator.Request{Key: id.name, KeyType: id.kind})
		if err != nil {
			return err
		}
		if code := Code(msg.(*findcoordinator.Response).ErrorCode); code == codeGroupAuthorization || code == codeTxnIDAuthorization {
			p.deny(id.resource, id.name, "Describe")
		}
	}
	msg, err := adm.askAny(ctx, &heartbeat.Request{GroupID: a.Group, GenerationID: -1, MemberID: "leadstream-check"})
	if err != nil {
		return err
	}
	if heartbeatCode(msg) == codeGroupAuthorization {
		p.deny("group", a.Group, "Read")
	}
	return nil
}

// Package delivery publishes leads exactly once. It owns what one transaction
// holds (leads, dead letters, the progress that covers them, the state of the
// topics) and knows what the topics hold already.
//
// What was delivered is known from the topics alone, see package dedup. Memory of that is
// valid for one producer epoch: a Store serves one session, and a new one starts with a new
// Store.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/dedup"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

// Limits of one transaction.
const (
	MaxLeads = 10_000
	MaxBytes = 8 << 20
)

// Options say where and how a Store publishes.
type Options struct {
	Cluster  *kafka.Client
	Producer *kafka.Producer
	Name     string // of the installation
	// Prefix, Partitions, ReplicationFactor (-1: the broker's default), TopicConfig and
	// InternalTopicConfig shape the topics it creates.
	Prefix              string
	Partitions          int
	ReplicationFactor   int
	TopicConfig         map[string]string
	InternalTopicConfig map[string]string
	Adopt               bool // publish to topics that hold another installation's leads
	Lookback            time.Duration
	// MaxHeld bounds the ids that a view keeps in memory, about 22 bytes each; 0 is 2,200,000.
	MaxHeld int
	// MaxDeadLetter bounds the value of a dead letter in bytes; 0 is 512 KiB.
	MaxDeadLetter int
	// VisibleTime is how long the marker of an acknowledged commit may take to
	// show before the topic counts as another one; 0 is 10 s.
	VisibleTime time.Duration
	Now         func() time.Time
	Log         *zap.Logger
}

// Store is the Kafka side of one producer epoch. It belongs to one goroutine, the
// publisher: nobody else publishes between its questions and its commits. Methods that
// read Kafka and touch none of that are for others, and say so.
type Store struct {
	opts    Options
	process string                   // see As
	clock   func() (time.Time, bool) // LinkedIn's

	topics    map[string]*topicState // by topic name
	views     []*dedup.View
	recreated []*TopicRecreatedError
	last      int64     // offset of the last commit to the checkpoint topic
	inspected time.Time // when the internal topics were looked at

	Deletions   *Deletions
	DeadLetters *DeadLetters

	shown atomic.Pointer[map[string]checkpoint.Topic] // for Topics
}

// New makes the store of a producer epoch that has not begun.
func New(o Options) *Store {
	if o.MaxHeld == 0 {
		o.MaxHeld = 2_200_000
	}
	if o.MaxDeadLetter == 0 {
		o.MaxDeadLetter = 512 << 10
	}
	if o.VisibleTime == 0 {
		o.VisibleTime = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{
		opts: o, topics: map[string]*topicState{},
		last: -1,
	}
	s.Deletions = newDeletions(s)
	s.DeadLetters = &DeadLetters{store: s, published: map[string]bool{}, lookedFor: map[string]int{}}
	s.shown.Store(&map[string]checkpoint.Topic{})
	return s
}

// As names the process whose session it is, before Open.
func (s *Store) As(process string) *Store {
	s.process = process
	return s
}

// TellTimeBy has the times of submissions compared with LinkedIn's clock, of which
// now says false while it is not known. Without it ours is taken for it. It is to be
// called before Open.
func (s *Store) TellTimeBy(now func() (time.Time, bool)) { s.clock = now }

// linkedInNow is LinkedIn's clock, or ours while that is not known.
func (s *Store) linkedInNow() time.Time {
	if s.clock != nil {
		if now, ok := s.clock(); ok {
			return now.UTC()
		}
	}
	return s.opts.Now().UTC()
}

// CheckpointTopic, DeadLetterTopic and DeletionsTopic are the internal topics
// of an installation.
func CheckpointTopic(name string) string { return name + ".checkpoints" }
func DeadLetterTopic(name string) string { return name + ".deadletters" }
func DeletionsTopic(name string) string  { return name + ".deletions" }

// DeadLetterTopic is the store's own.
func (s *Store) DeadLetterTopic() string { return DeadLetterTopic(s.opts.Name) }

// ownTopic gives an error about one of the installation's own topics the kind
// that it has there. Without them nothing goes on: what elsewhere suspends a form
// or rejects a lead waits for a person, and what cannot be read ends the program,
// for to go on would be to forget it.
func ownTopic(err error) error {
	var corrupt *kafka.CorruptError
	if errors.As(err, &corrupt) {
		return fault.As(fault.Fatal, err)
	}
	return forPerson(err)
}

// forPerson is ownTopic for what the rest can do without.
func forPerson(err error) error {
	if kind := fault.KindOf(err); kind == fault.Suspend || kind == fault.Reject {
		return fault.As(fault.Pause, err)
	}
	return err
}

// Open begins the session: it fences whoever held the transactional id before,
// only then makes the internal topics exist, and reads the progress. Errors: of
// kind Pause where Kafka refuses us something, Fatal where what is stored cannot
// be read, else Retry.
func (s *Store) Open(ctx context.Context) (*checkpoint.State, error) {
	state, err := s.open(ctx)
	return state, ownTopic(err)
}

func (s *Store) open(ctx context.Context) (*checkpoint.State, error) {
	since := s.opts.Now().UTC()
	if err := s.opts.Producer.Init(ctx); err != nil {
		return nil, fmt.Errorf("starting the transactional producer: %w", err)
	}
	if err := EnsureInternal(ctx, s.opts); err != nil {
		return nil, err
	}
	s.inspected = s.opts.Now()
	state, err := s.begin(ctx, since)
	if err != nil {
		return nil, err
	}
	looked, err := s.endEarlier(ctx, state)
	if err != nil {
		return nil, err
	}
	if len(state.Deletions.Next) > 0 {
		s.Deletions.tailer.MustExist()
	}
	recorded, err := s.Deletions.read(ctx, state.Deletions)
	if err != nil {
		return nil, err
	}
	s.Deletions.applied = believed(state.Deletions, recorded.marked)
	recorded.anew = false // there is nothing from before
	s.Deletions.take(recorded)
	if err := s.DeadLetters.read(ctx); err != nil {
		return nil, err
	}
	shown := map[string]checkpoint.Topic{}
	for form, t := range state.Topics {
		s.topics[s.TopicName(form)] = &topicState{Facts: dedup.Facts{Topic: t}, unlooked: !looked}
		shown[s.TopicName(form)] = t
	}
	s.show(shown)
	return state, nil
}

// begin reads the progress, after what the process before us left without an end in
// its topic is ended: its records would be missing. Before anything else is written it
// records which process works. A topic without that record is none that a session
// began with: somebody else made it anew, and what stands in it but for the tokens is
// what a session wrote that did not notice at once. It lacks all that was written
// before, so that it counts for nothing and is removed, in the same transaction.
func (s *Store) begin(ctx context.Context, since time.Time) (*checkpoint.State, error) {
	name := CheckpointTopic(s.opts.Name)
	if err := s.endHanging(ctx, []string{name}); err != nil {
		return nil, fmt.Errorf("ending the last transaction in topic %s: %w", name, err)
	}
	latest, err := readCheckpoints(ctx, s.opts.Cluster, s.opts.Name) // it exists: that a broker does not know it is no first start
	if err != nil {
		return nil, err
	}
	state, err := stateOf(latest)
	if err != nil {
		return nil, err
	}
	records := map[string]any{checkpoint.ProcessKey: checkpoint.Process{ID: s.process, Since: since}}
	if orphans := Orphans(latest); len(orphans) > 0 {
		s.opts.Log.Warn("the checkpoint topic was made anew by somebody else: the progress in it lacks what was written before and does not count; this is a first start, which repeats nothing that the topics hold",
			zap.String("topic", name), zap.Int("records", len(orphans)),
			zap.String("todo", "see who deletes or writes the topic; only this installation may"))
		for _, key := range orphans {
			records[key] = nil
		}
		if state, err = stateOf(nil); err != nil {
			return nil, err
		}
	}
	s.opts.Producer.KeepManifests(name, manifestOf(state.Transaction), s.manifestMessage)
	msgs, err := s.recordMessages(nil, records)
	if err != nil {
		return nil, err
	}
	if _, err := s.write(ctx, msgs); err != nil {
		return nil, s.refusal(fmt.Errorf("recording which process works: %w", err))
	}
	return state, nil
}

// Orphans are the keys of progress in a checkpoint topic that no session began with,
// given the latest value of each key; none where one did. Tokens are no progress,
// nor are notifications that are passed on.
func Orphans[V any](latest map[string]V) []string {
	if _, begun := latest[checkpoint.ProcessKey]; begun {
		return nil
	}
	var orphans []string
	for key := range latest {
		if kind, _, _ := strings.Cut(key, "/"); kind != checkpoint.KindToken && kind != checkpoint.KindPush {
			orphans = append(orphans, key)
		}
	}
	return orphans
}

// endEarlier ends what earlier processes left without an end in the topics of dead
// letters and leads: our first transaction there would end it its own way. looked is
// false where one of the lead topics cannot be looked at: it keeps no other waiting,
// and each is looked at before its next use.
func (s *Store) endEarlier(ctx context.Context, state *checkpoint.State) (looked bool, err error) {
	if err := s.endHanging(ctx, []string{s.DeadLetterTopic()}); err != nil {
		return false, fmt.Errorf("ending the last transaction in topic %s: %w", s.DeadLetterTopic(), err)
	}
	topics := make([]string, 0, len(state.Topics))
	for form := range state.Topics {
		topics = append(topics, s.TopicName(form))
	}
	switch err := s.endHanging(ctx, topics); {
	case err == nil:
		return true, nil
	case ctx.Err() != nil, errors.Is(err, kafka.ErrEpochLost):
		return false, fmt.Errorf("ending the last transaction in the lead topics: %w", err)
	default:
		s.opts.Log.Warn("a lead topic cannot be looked at for a transaction without an end; each is before its next use", zap.Error(err), zap.String("todo", "nothing: who cannot use the topic says so then"))
		return false, nil
	}
}

// ReadState reads the checkpoint topic to its end. A topic that does not exist
// is an empty state; a record that cannot be read is an error.
func ReadState(ctx context.Context, c *kafka.Client, name string) (checkpoint.State, error) {
	latest, err := readCheckpoints(ctx, c, name)
	if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		return checkpoint.State{}, err
	}
	state, err := stateOf(latest)
	if err != nil {
		return checkpoint.State{}, err
	}
	return *state, nil
}

// stored is the value of a checkpoint record, and when it was written.
type stored struct {
	value []byte
	at    time.Time
	large bool // value tells of one that is not kept
}

// maxRecord is more than any record takes that leadstream writes: a batch of a topic as
// it is made holds a megabyte.
const maxRecord = 4 << 20

// stateOf is what the records say.
func stateOf(latest map[string]stored) (*checkpoint.State, error) {
	state := checkpoint.NewState()
	for key, r := range latest {
		if err := state.Enter(key, r.value, r.at); err != nil {
			if unreadable, ok := errors.AsType[*checkpoint.UnreadableError](err); ok && r.large {
				unreadable.Err = errors.New(string(r.value))
			}
			return nil, err
		}
	}
	return state, nil
}

// ReadCheckpoints is the latest value of each key of the checkpoint topic, nothing
// where that does not exist.
func ReadCheckpoints(ctx context.Context, c *kafka.Client, name string) (map[string][]byte, error) {
	latest, err := readCheckpoints(ctx, c, name)
	if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		return nil, err
	}
	values := make(map[string][]byte, len(latest))
	for key, r := range latest {
		values[key] = r.value
	}
	return values, nil
}

func readCheckpoints(ctx context.Context, c *kafka.Client, name string) (map[string]stored, error) {
	latest := map[string]stored{}
	err := c.Reader.Read(ctx, CheckpointTopic(name), kafka.From{}, func(r *kafka.Record) error {
		switch key := string(r.Key); {
		case r.Value == nil:
			delete(latest, key)
		case len(r.Value) > maxRecord:
			latest[key] = stored{fmt.Appendf(nil, "its value takes %d bytes, more than any record of leadstream", len(r.Value)), r.Time.UTC(), true}
		default:
			latest[key] = stored{append([]byte(nil), r.Value...), r.Time.UTC(), false}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint topic %s: %w", CheckpointTopic(name), err)
	}
	return latest, nil
}

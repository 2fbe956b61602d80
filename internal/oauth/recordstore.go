package oauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// Records is where a RecordStore keeps its records: a log that several machines
// share and that keeps the newest value of each key, in the order of writing.
type Records interface {
	// All gives what is held by key. It is called every few seconds and must be
	// cheap while nothing comes.
	All(ctx context.Context) (map[string][]byte, error)
	// Put makes a record durable before it returns nil. After an error it may be
	// there all the same.
	Put(ctx context.Context, key string, value []byte) error
	// Delete removes a record; one that is not there is no error.
	Delete(ctx context.Context, key string) error
	// Try writes something that says nothing, as a Put would: after it a Put can
	// be expected to work.
	Try(ctx context.Context) error
}

// RecordError is a stored pair of tokens that cannot be used as it is; its cause
// is one of decodeToken's errors or ErrForeign.
type RecordError struct {
	Key string // of the record
	Err error
}

// Error names the record, the cause and what to do.
func (e *RecordError) Error() string {
	return "token record " + e.Key + ": " + e.Err.Error() + "; " + e.Todo()
}

// Todo is what to do about it, read by fault.TodoOf.
func (e *RecordError) Todo() string {
	const remove = "remove it with `leadstream auth logout` and log in again"
	switch {
	case errors.Is(e.Err, ErrPassphrase), errors.Is(e.Err, ErrPassphraseMissing):
		return "give all processes the same token.passphrase, or " + remove
	case errors.Is(e.Err, ErrNewer):
		return "run that release, or " + remove
	case !errors.Is(e.Err, ErrCorrupt):
		return "leadstream did not write it: see who may write to that topic, and " + remove
	}
	return remove
}

// Unwrap gives the cause.
func (e *RecordError) Unwrap() error { return e.Err }

// Fault is Pause: a person must act.
func (e *RecordError) Fault() fault.Kind { return fault.Pause }

// RemovedError says that there is no token because the consents until
// AuthorizedAt were removed. It matches ErrNoToken.
type RemovedError struct{ AuthorizedAt time.Time }

// Error says so.
func (e *RemovedError) Error() string {
	return ErrNoToken.Error() + ": consents until " + stamp(e.AuthorizedAt) + " were removed"
}

// Is makes errors.Is true for ErrNoToken.
func (e *RemovedError) Is(target error) bool { return target == ErrNoToken }

// RecordStore keeps the token in Records, always encrypted. Nothing is ever
// written over, but by the same pair with what came of renewing it: each pair has a
// record of its own, whose key tells its age, and whoever reads takes the newest by
// Token.Supersedes. So the late renewal of an
// older consent, however late it is written, neither replaces a newer consent
// nor brings back one that was removed.
//
//	<authorized at>/<obtained at>   a pair, encrypted
//	removed/<authorized at>         consents until then were removed; no value
//
// What this store cannot have written itself (not encrypted, damaged, another pair
// than its key names, of another installation) is passed over and told: whoever
// can write to the log must not have the account changed. What was encrypted with another
// passphrase may be the consent of a process with other settings, and stops everything.
//
// A record that another one makes superfluous is deleted only after that one is
// durable. So a pair that was seen here and is missing without either was lost
// together with its log (a topic that was deleted), and is written again.
type RecordStore struct {
	records                  Records
	passphrase, installation string
	cost                     int  // of encrypting, as encode takes it
	readOnly                 bool // Load changes nothing
	log                      *zap.Logger

	turn    *semaphore.Weighted      // of one caller at a time; guards what follows
	token   Token                    // as last read or written; zero once it was removed or replaced
	encoded []byte                   // what token was read from
	opened  opened                   // the record that was decrypted last
	ignored map[string]ignoredRecord // records that are passed over, by key
}

// opened is a record with what it holds.
type opened struct {
	key   string
	value []byte
	token Token
	err   error
}

// ignoredRecord is a record that this store cannot have written.
type ignoredRecord struct {
	value []byte
	err   error
}

// NewRecordStore makes a store in records. The passphrase must not be empty.
// log may be nil. Nothing is read yet.
func NewRecordStore(records Records, passphrase string, log *zap.Logger) *RecordStore {
	if log == nil {
		log = zap.NewNop()
	}
	return &RecordStore{records: records, passphrase: passphrase, cost: workFactor, log: log, turn: semaphore.NewWeighted(1)}
}

// For has the store pass over the consents of other installations. It gives s.
func (s *RecordStore) For(installation string) *RecordStore {
	s.installation = installation
	return s
}

const removedPrefix = "removed/"

func pairKey(t Token) string {
	return lead.FormatTime(t.AuthorizedAt) + "/" + lead.FormatTime(t.ObtainedAt)
}

// snapshot is what the records hold.
type snapshot struct {
	values  map[string][]byte
	newest  Token     // as much of it as its key tells; zero when there is none
	pairs   []string  // keys of all pairs
	markers []string  // keys of what says that consents were removed
	removed time.Time // consents until then were removed
}

// collect sorts the records. Keys of another form belong to a later release;
// the pairs in passed count for nothing, but can be removed.
func collect(values map[string][]byte, passed map[string]ignoredRecord) snapshot {
	s := snapshot{values: values}
	var pairs []Token
	for key := range values {
		if rest, ok := strings.CutPrefix(key, removedPrefix); ok {
			if at, err := time.Parse(lead.TimeLayout, rest); err == nil {
				s.markers = append(s.markers, key)
				s.removed = later(s.removed, at)
			}
			continue
		}
		if t, ok := parsePair(key); ok {
			s.pairs = append(s.pairs, key)
			if _, pass := passed[key]; !pass {
				pairs = append(pairs, t)
			}
		}
	}
	for _, t := range pairs {
		if t.AuthorizedAt.After(s.removed) && (s.newest.IsZero() || t.Supersedes(s.newest)) {
			s.newest = t
		}
	}
	return s
}

// parsePair reads what pairKey made. The key takes the place of the secret.
func parsePair(key string) (Token, bool) {
	authorized, obtained, ok := strings.Cut(key, "/")
	at, err := time.Parse(lead.TimeLayout, authorized)
	got, err2 := time.Parse(lead.TimeLayout, obtained)
	return Token{Access: key, AuthorizedAt: at, ObtainedAt: got}, ok && err == nil && err2 == nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Load gives the newest pair; it decrypts only one that it has not seen. The
// error is ErrNoToken when there is none, a *RecordError, or one of Records.
func (s *RecordStore) Load(ctx context.Context) (Token, error) {
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return Token{}, waiting(err)
	}
	defer s.turn.Release(1)
	have, err := s.look(ctx)
	if err != nil {
		return Token{}, err
	}
	if s.lost(have) && !s.readOnly {
		if err := s.write(ctx, s.token, have); err != nil {
			return Token{}, fmt.Errorf("writing the tokens again, which are gone from where they were kept: %w", err)
		}
		s.log.Warn("the record of the LinkedIn tokens was gone and is written again", zap.Object("token", s.token),
			zap.String("todo", "nothing; to remove the tokens use `leadstream auth logout`"))
		return s.token, nil
	}
	switch {
	case !have.newest.IsZero():
		return s.open(have)
	case !have.removed.IsZero():
		return Token{}, &RemovedError{AuthorizedAt: have.removed}
	case len(s.ignored) > 0:
		return Token{}, s.mostRecent(have)
	}
	return Token{}, ErrNoToken
}

// waiting is why the turn of a caller did not come.
func waiting(err error) error { return fmt.Errorf("waiting for the stored tokens: %w", err) }

// look reads the records. A pair in memory that was removed or replaced is not
// to be missed later, when the record that says so may be gone in its turn.
func (s *RecordStore) look(ctx context.Context) (snapshot, error) {
	values, err := s.records.All(ctx)
	if err != nil {
		return snapshot{}, err
	}
	for key, passed := range s.ignored {
		if value, there := values[key]; !there || !bytes.Equal(value, passed.value) {
			delete(s.ignored, key)
		}
	}
	have := collect(values, s.ignored)
	for s.ignoreNewest(have) {
		have = collect(values, s.ignored)
	}
	if !s.token.AuthorizedAt.After(have.removed) || !have.newest.IsZero() && !s.token.Supersedes(have.newest) {
		s.token, s.encoded = Token{}, nil
	}
	return have, nil
}

// ignoreNewest reports whether the newest pair is none that this store can have
// written, and says so once. It is passed over from then on.
func (s *RecordStore) ignoreNewest(have snapshot) bool {
	if have.newest.IsZero() {
		return false
	}
	key := have.newest.Access
	_, err := s.read(key, have.values[key])
	if err == nil || errors.Is(err, ErrPassphrase) || errors.Is(err, ErrPassphraseMissing) || errors.Is(err, ErrNewer) {
		return false
	}
	bad := &RecordError{Key: key, Err: err}
	if s.ignored == nil {
		s.ignored = map[string]ignoredRecord{}
	}
	s.ignored[key] = ignoredRecord{have.values[key], bad}
	s.log.Error("a record of LinkedIn tokens that this installation did not write is passed over", zap.Error(bad), zap.String("todo", bad.Todo()))
	return true
}

// mostRecent is why the newest of the records that are passed over is.
func (s *RecordStore) mostRecent(have snapshot) error {
	var newest Token
	for _, key := range have.pairs {
		if t, _ := parsePair(key); newest.IsZero() || t.Supersedes(newest) {
			newest = t
		}
	}
	return s.ignored[newest.Access].err
}

// lost reports that the pair in memory should be there and is not.
func (s *RecordStore) lost(have snapshot) bool {
	return !s.token.IsZero() && (have.newest.IsZero() || pairKey(s.token) != have.newest.Access)
}

// open gives the newest pair.
func (s *RecordStore) open(have snapshot) (Token, error) {
	key := have.newest.Access
	t, err := s.read(key, have.values[key])
	if err != nil {
		return Token{}, &RecordError{Key: key, Err: err}
	}
	s.token, s.encoded = t, have.values[key]
	return t, nil
}

// read decrypts a record, unless it is the one that was decrypted last.
func (s *RecordStore) read(key string, value []byte) (Token, error) {
	if !s.token.IsZero() && pairKey(s.token) == key && bytes.Equal(value, s.encoded) {
		return s.token, nil
	}
	if s.opened.key != key || !bytes.Equal(value, s.opened.value) {
		t, err := s.decrypt(key, value)
		s.opened = opened{key, value, t, err}
	}
	return s.opened.token, s.opened.err
}

func (s *RecordStore) decrypt(key string, value []byte) (Token, error) {
	if !isEncrypted(value) { // which this store never writes
		if _, err := parse(value); err != nil {
			return Token{}, err
		}
		return Token{}, ErrPlain
	}
	t, err := decodeToken(value, s.passphrase)
	if err == nil && pairKey(t) != key {
		err = fmt.Errorf("%w: it is not the pair that its key names", ErrCorrupt)
	}
	if err == nil {
		err = t.belongsTo(s.installation)
	}
	if err != nil {
		return Token{}, err
	}
	return t, nil
}

// Reserve tries whether a record can be written.
func (s *RecordStore) Reserve(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	if err := s.records.Try(ctx); err != nil {
		return nil, err
	}
	return func() {}, nil
}

// Save adds a record of t, unless what is held is newer or the consent of t was
// removed (ErrSuperseded).
func (s *RecordStore) Save(ctx context.Context, t Token) error {
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return waiting(err)
	}
	defer s.turn.Release(1)
	have, err := s.look(ctx)
	if err != nil {
		return err
	}
	held := have.newest
	if s.lost(have) {
		held = s.token
	}
	if !t.AuthorizedAt.After(have.removed) || !t.Supersedes(held) {
		return ErrSuperseded
	}
	return s.write(ctx, t, have)
}

// write adds a record of t and removes those that it makes superfluous.
func (s *RecordStore) write(ctx context.Context, t Token, have snapshot) error {
	if s.passphrase == "" {
		return fmt.Errorf("encrypting the tokens: %w", ErrPassphraseMissing)
	}
	encoded, err := encode(t, s.passphrase, s.cost)
	if err != nil {
		return err
	}
	key := pairKey(t)
	if err := s.records.Put(ctx, key, encoded); err != nil {
		return err
	}
	s.token, s.encoded = t, encoded
	var superfluous []string
	for _, other := range have.pairs {
		_, passed := s.ignored[other]
		if p, _ := parsePair(other); other != key && (passed || t.Supersedes(p)) {
			superfluous = append(superfluous, other)
		}
	}
	s.clear(ctx, append(superfluous, have.markers...)) // older consents give way to this one as well
	return nil
}

// clear removes records that say nothing any more. One that stays is passed
// over by whoever reads, and removed with the next pair.
func (s *RecordStore) clear(ctx context.Context, keys []string) {
	for _, key := range keys {
		if err := s.records.Delete(ctx, key); err != nil {
			s.log.Debug("a superseded record of the LinkedIn tokens stays for now", zap.String("key", key), zap.Error(err))
			return
		}
	}
}

// Delete removes every pair, readable or not, and notes until when consents are
// removed, so that a renewal that is under way cannot bring one back.
func (s *RecordStore) Delete(ctx context.Context) error {
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return waiting(err)
	}
	defer s.turn.Release(1)
	have, err := s.look(ctx)
	if err != nil {
		return err
	}
	newest := have.newest
	if s.lost(have) { // and so do others miss it, who would write it again
		newest = s.token
	}
	if newest.IsZero() && len(s.ignored) == 0 {
		return ErrNoToken
	}
	if !newest.IsZero() { // what was passed over needs no marker, and its date may be any
		marker := removedPrefix + lead.FormatTime(newest.AuthorizedAt)
		if err := s.records.Put(ctx, marker, nil); err != nil {
			return err
		}
	}
	s.token, s.encoded = Token{}, nil
	s.clear(ctx, append(have.pairs, have.markers...))
	return nil
}

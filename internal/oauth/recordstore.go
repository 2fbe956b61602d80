package oauth

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	// All gives the value of each key. It is called every few seconds and must be
	// cheap while nothing is written.
	All(ctx context.Context) (map[string][]byte, error)
	// Put makes a record durable before it returns nil. After an error it may be
	// there all the same.
	Put(ctx context.Context, key string, value []byte) error
	// Delete removes a record; one that is not there is no error.
	Delete(ctx context.Context, key string) error
	// Try writes a record without meaning, as a Put would. After it a Put can be
	// expected to work.
	Try(ctx context.Context) error
}

// RecordError is a stored pair of tokens that cannot be used as it is. Its cause
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
	const remove = "remove it with " + logInAgain
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
	return ErrNoToken.Error() + ": consents until " + formatTime(e.AuthorizedAt) + " were removed"
}

// Is makes errors.Is true for ErrNoToken.
func (e *RemovedError) Is(target error) bool { return target == ErrNoToken }

// RecordStore keeps the token in Records, always encrypted. Each pair has a record
// of its own, whose key tells its age, and readers take the newest by
// Token.Supersedes. A record is never overwritten, except by the same pair with
// LinkedIn's refusal to renew it. So the late renewal of an older consent, however
// late it is written, neither replaces a newer consent nor restores one that was
// removed.
//
//	<authorized at>/<obtained at>   a pair, encrypted
//	removed/<authorized at>         consents until then were removed; no value
//
// A record that this store cannot have written is ignored and reported: one that is
// not encrypted, is damaged, holds another pair than its key names, or belongs to
// another installation. So write access to the log is not enough to change the
// account. A pair that is encrypted with another passphrase may be the consent of a
// process with other settings, and stops everything.
//
// A superfluous record is deleted only after the record that replaces it is durable.
// So a pair that was seen here and is missing without a successor was lost together
// with its log (a topic that was deleted), and is written again.
type RecordStore struct {
	records                  Records
	passphrase, installation string
	cost                     int  // of encrypting, as encode takes it
	readOnly                 bool // Load changes nothing
	log                      *zap.Logger

	turn    *semaphore.Weighted       // one caller at a time has it; it guards what follows
	token   Token                     // as last read or written; zero once it was removed or replaced
	decoded decoded                   // the record that was decrypted last
	ignored map[string]*ignoredRecord // by key
}

// decoded is a record with what it holds.
type decoded struct {
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
	return &RecordStore{
		records: records, passphrase: passphrase, cost: workFactor, log: log,
		turn: semaphore.NewWeighted(1), ignored: map[string]*ignoredRecord{},
	}
}

// For has the store ignore the consents of other installations. It gives s.
func (s *RecordStore) For(installation string) *RecordStore {
	s.installation = installation
	return s
}

func (s *RecordStore) setReadOnly() { s.readOnly = true }

func (s *RecordStore) saveWouldFail() error { return nil } // only writing a record tells

const removedPrefix = "removed/"

func pairKey(t Token) string {
	return lead.FormatTime(t.AuthorizedAt) + "/" + lead.FormatTime(t.ObtainedAt)
}

// parsePair reads what pairKey made. The key stands for the secret.
func parsePair(key string) (Token, bool) {
	authorized, obtained, ok := strings.Cut(key, "/")
	at, err := time.Parse(lead.TimeLayout, authorized)
	got, err2 := time.Parse(lead.TimeLayout, obtained)
	return Token{Access: key, AuthorizedAt: at, ObtainedAt: got}, ok && err == nil && err2 == nil
}

// snapshot is what the records hold.
type snapshot struct {
	values  map[string][]byte
	pairs   []string  // keys of all pairs, the newest first
	markers []string  // keys of what says that consents were removed
	removed time.Time // consents until then were removed
	newest  Token     // that counts, as much of it as its key tells; zero when there is none
}

// collect sorts the records. Keys of another form belong to a later release.
// Ignored pairs do not count, but can be removed.
func collect(values map[string][]byte, ignored map[string]*ignoredRecord) snapshot {
	s := snapshot{values: values}
	var pairs []Token
	for key := range values {
		if t, ok := parsePair(key); ok {
			pairs = append(pairs, t)
		} else if rest, ok := strings.CutPrefix(key, removedPrefix); ok {
			if at, err := time.Parse(lead.TimeLayout, rest); err == nil {
				s.markers = append(s.markers, key)
				if at.After(s.removed) {
					s.removed = at
				}
			}
		}
	}
	slices.SortFunc(pairs, func(a, b Token) int {
		return cmp.Or(b.AuthorizedAt.Compare(a.AuthorizedAt), b.ObtainedAt.Compare(a.ObtainedAt))
	})
	for _, t := range pairs {
		s.pairs = append(s.pairs, t.Access)
		if s.newest.IsZero() && ignored[t.Access] == nil && t.AuthorizedAt.After(s.removed) {
			s.newest = t
		}
	}
	return s
}

// do runs fn when it is the caller's turn, with what the records hold.
func (s *RecordStore) do(ctx context.Context, fn func(snapshot) error) error {
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("waiting for the stored tokens: %w", err)
	}
	defer s.turn.Release(1)
	have, err := s.look(ctx)
	if err != nil {
		return err
	}
	return fn(have)
}

// look reads the records. It forgets a pair in memory that was removed or replaced:
// later the record that says so may be gone as well, and the pair is not missing then.
func (s *RecordStore) look(ctx context.Context) (snapshot, error) {
	values, err := s.records.All(ctx)
	if err != nil {
		return snapshot{}, err
	}
	for key, r := range s.ignored {
		if value, there := values[key]; !there || !bytes.Equal(value, r.value) {
			delete(s.ignored, key)
		}
	}
	have := collect(values, s.ignored)
	for s.ignoreNewest(have) {
		have = collect(values, s.ignored)
	}
	if !s.token.AuthorizedAt.After(have.removed) || !have.newest.IsZero() && !s.token.Supersedes(have.newest) {
		s.token = Token{}
	}
	return have, nil
}

// ignoreNewest reports whether this store cannot have written the newest pair, and
// logs it once. The pair is ignored from then on.
func (s *RecordStore) ignoreNewest(have snapshot) bool {
	if have.newest.IsZero() {
		return false
	}
	key := have.newest.Access
	_, err := s.decode(key, have.values[key])
	if err == nil || errors.Is(err, ErrPassphrase) || errors.Is(err, ErrPassphraseMissing) || errors.Is(err, ErrNewer) {
		return false
	}
	bad := &RecordError{Key: key, Err: err}
	s.ignored[key] = &ignoredRecord{have.values[key], bad}
	s.log.Error("a record of LinkedIn tokens that this installation did not write is passed over", zap.Error(bad), zap.String("todo", bad.Todo()))
	return true
}

// lost reports that the pair in memory should be there and is not.
func (s *RecordStore) lost(have snapshot) bool {
	return !s.token.IsZero() && (have.newest.IsZero() || pairKey(s.token) != have.newest.Access)
}

// decode decrypts a record, unless it is the one that was decrypted last.
func (s *RecordStore) decode(key string, value []byte) (Token, error) {
	if s.decoded.key != key || !bytes.Equal(value, s.decoded.value) {
		t, err := s.decrypt(key, value)
		s.decoded = decoded{key, value, t, err}
	}
	return s.decoded.token, s.decoded.err
}

func (s *RecordStore) decrypt(key string, value []byte) (Token, error) {
	if !isEncrypted(value) { // this store never writes such a record
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

// Load gives the newest pair and decrypts it only once. The error is ErrNoToken
// when there is none, a *RecordError, or one of Records.
func (s *RecordStore) Load(ctx context.Context) (t Token, err error) {
	err = s.do(ctx, func(have snapshot) error {
		t, err = s.load(ctx, have)
		return err
	})
	return t, err
}

func (s *RecordStore) load(ctx context.Context, have snapshot) (Token, error) {
	if s.lost(have) && !s.readOnly {
		if err := s.write(ctx, s.token, have); err != nil {
			return Token{}, fmt.Errorf("writing the tokens again, which are gone from where they were kept: %w", err)
		}
		s.log.Warn("the record of the LinkedIn tokens was gone and is written again", zap.Object("token", s.token),
			zap.String("todo", "nothing; to remove the tokens use `leadstream auth logout`"))
		return s.token, nil
	}
	switch key := have.newest.Access; {
	case !have.newest.IsZero():
		t, err := s.decode(key, have.values[key])
		if err != nil {
			return Token{}, &RecordError{Key: key, Err: err}
		}
		s.token = t
		return t, nil
	case !have.removed.IsZero():
		return Token{}, &RemovedError{AuthorizedAt: have.removed}
	}
	for _, key := range have.pairs {
		if r := s.ignored[key]; r != nil {
			return Token{}, r.err
		}
	}
	return Token{}, ErrNoToken
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

// Save adds a record of t, unless the pair held is newer or the consent of t was
// removed (ErrSuperseded).
func (s *RecordStore) Save(ctx context.Context, t Token) error {
	return s.do(ctx, func(have snapshot) error {
		held := have.newest
		if s.lost(have) {
			held = s.token
		}
		if !t.AuthorizedAt.After(have.removed) || !t.Supersedes(held) {
			return ErrSuperseded
		}
		return s.write(ctx, t, have)
	})
}

// write adds a record of t and removes those that it makes superfluous.
func (s *RecordStore) write(ctx context.Context, t Token, have snapshot) error {
	if s.passphrase == "" {
		return fmt.Errorf("encrypting the tokens: %w", ErrPassphraseMissing)
	}
	value, err := encode(t, s.passphrase, s.cost)
	if err != nil {
		return err
	}
	key := pairKey(t)
	if err := s.records.Put(ctx, key, value); err != nil {
		return err
	}
	s.token, s.decoded = t, decoded{key: key, value: value, token: t}
	var superfluous []string
	for _, other := range have.pairs {
		if p, _ := parsePair(other); other != key && (s.ignored[other] != nil || t.Supersedes(p)) {
			superfluous = append(superfluous, other)
		}
	}
	s.clear(ctx, append(superfluous, have.markers...)) // older consents give way to this one as well
	return nil
}

// clear removes superfluous records. Readers pass over one that stays, and it is
// removed with the next pair.
func (s *RecordStore) clear(ctx context.Context, keys []string) {
	for _, key := range keys {
		if err := s.records.Delete(ctx, key); err != nil {
			s.log.Debug("a superseded record of the LinkedIn tokens stays for now", zap.String("key", key), zap.Error(err))
			return
		}
	}
}

// Delete removes every pair, readable or not, and notes until when consents are
// removed, so that a renewal that is under way cannot restore one.
func (s *RecordStore) Delete(ctx context.Context) error {
	return s.do(ctx, func(have snapshot) error {
		newest := have.newest
		if s.lost(have) { // others miss it as well and would write it again
			newest = s.token
		}
		if newest.IsZero() && len(s.ignored) == 0 {
			return ErrNoToken
		}
		if !newest.IsZero() { // an ignored pair needs no marker, and its date means nothing
			marker := removedPrefix + lead.FormatTime(newest.AuthorizedAt)
			if err := s.records.Put(ctx, marker, nil); err != nil {
				return err
			}
		}
		s.token = Token{}
		s.clear(ctx, append(have.pairs, have.markers...))
		return nil
	})
}

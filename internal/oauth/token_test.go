package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// cheap is a work factor of scrypt for tests, which need no security.
const cheap = 2

func sample() Token {
	return Token{
		Access: planted + "-access", Refresh: planted + "-refresh", Scopes: wanted,
		AccessExpiresAt: begin.Add(60 * day), RefreshExpiresAt: begin.Add(365 * day),
		AuthorizedAt: begin, ObtainedAt: begin,
	}
}

func TestNewestConsentWinsThenTheLatestRenewal(t *testing.T) {
	tok := func(authorized, obtained int) Token {
		return Token{Access: "a", AuthorizedAt: begin.Add(time.Duration(authorized) * time.Hour), ObtainedAt: begin.Add(time.Duration(obtained) * time.Hour)}
	}
	tests := []struct {
		name       string
		next, held Token
		want       bool
	}{
		{"a consent fills an empty store", tok(1, 1), Token{}, true},
		{"a renewal does not bring back what was removed", tok(1, 2), Token{}, false},
		{"a newer consent", tok(2, 2), tok(1, 1), true},
		{"a newer consent over a later renewal of an older one", tok(2, 2), tok(1, 5), true},
		{"a late renewal of an older consent", tok(1, 5), tok(2, 2), false},
		{"an older consent", tok(1, 1), tok(2, 2), false},
		{"a renewal", tok(1, 2), tok(1, 1), true},
		{"the pair before the renewal", tok(1, 1), tok(1, 2), false},
		{"the same once more", tok(1, 1), tok(1, 1), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.next.Supersedes(tt.held); got != tt.want {
				t.Errorf("Supersedes = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPrintingATokenNeverShowsItsSecrets(t *testing.T) {
	tok := sample()
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb+"\n", tok)
		fmt.Fprintf(&b, verb+"\n", &tok)
		fmt.Fprintf(&b, verb+"\n", struct{ T Token }{tok})
	}
	for _, v := range []any{tok, &tok, map[string]any{"t": tok}} {
		js, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(js)
	}
	var log bytes.Buffer
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&log), zap.DebugLevel))
	logger.Info("token", zap.Any("any", tok), zap.Object("object", tok), zap.Reflect("reflect", tok), zap.Stringer("stringer", tok), zap.Error(errors.New(tok.String())))
	noSecret(t, "printing", b.String())
	noSecret(t, "logging", log.String())
	if !strings.Contains(b.String(), "2027-01-01") {
		t.Errorf("printing does not tell the dates: %s", b.String())
	}
}

func TestEncryptedTokenIsTheSameWhenDecrypted(t *testing.T) {
	bearer := sample()
	bearer.Refresh, bearer.RefreshExpiresAt = "", time.Time{}
	for name, tok := range map[string]Token{"full": sample(), "bearer only": bearer} {
		for _, passphrase := range []string{"", planted + "-pass phrase ✓"} {
			sealed, err := encode(tok, passphrase, cheap)
			if err != nil {
				t.Fatal(err)
			}
			if passphrase != "" {
				noSecret(t, "the sealed form", string(sealed))
			}
			got, err := decodeToken(sealed, passphrase)
			if err != nil || !got.Equal(tok) {
				t.Errorf("%s, passphrase %q: decodeToken = %v, %v; want %v", name, passphrase, got, err, tok)
			}
		}
	}
	if _, err := encodeToken(Token{}, ""); err == nil {
		t.Error("encodeToken accepted no token")
	}
}

func TestEncryptingTakesASidecarsMemory(t *testing.T) {
	sealed, err := encodeToken(sample(), planted+"-right")
	if err != nil {
		t.Fatal(err)
	}
	_, stanza, _ := strings.Cut(string(sealed), "\n")
	stanza, _, _ = strings.Cut(stanza, "\n")
	if !strings.HasPrefix(stanza, "-> scrypt ") || !strings.HasSuffix(stanza, " 14") {
		t.Errorf("age header %q, want scrypt with work factor 14", stanza)
	}
	if got, err := decodeToken(sealed, planted+"-right"); err != nil || !got.Equal(sample()) {
		t.Errorf("decodeToken = %v, %v", got, err)
	}
	if _, err := decodeToken(bytes.Replace(sealed, []byte(" 14\n"), []byte(" 20\n"), 1), planted+"-right"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("decodeToken of a file that asks for a gigabyte = %v, want ErrCorrupt", err)
	}
}

func TestTokenThatCannotBeDecryptedSaysWhy(t *testing.T) {
	locked, err := encode(sample(), planted+"-right", cheap)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := encodeToken(sample(), "")
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(locked)
	damaged[len(damaged)-3] ^= 1
	tests := []struct {
		name       string
		data       []byte
		passphrase string
		want       error
	}{
		{"another passphrase", locked, planted + "-wrong", ErrPassphrase},
		{"no passphrase", locked, "", ErrPassphraseMissing},
		{"damaged payload", damaged, planted + "-right", ErrCorrupt},
		{"cut encrypted", locked[:60], planted + "-right", ErrCorrupt},
		{"cut plain", plain[:len(plain)/2], "", ErrCorrupt},
		{"empty", nil, "", ErrCorrupt},
		{"other JSON", []byte(`{"access_token":"PLANTED"}`), "", ErrCorrupt},
		{"wrong types", []byte(`{"version":1,"access_token":["PLANTED"]}`), "", ErrCorrupt},
		{"newer version", []byte(`{"version":2,"access_token":"PLANTED"}`), "", ErrNewer},
		{"huge", bytes.Repeat([]byte("PLANTED"), 100_000), "", ErrCorrupt},
		{"not encrypted", plain, planted + "-right", ErrPlain},
		{"with a line break", bytes.Replace(plain, []byte("-access"), []byte(`-acc\ness`), 1), "", ErrCorrupt},
		{"with a blank", bytes.Replace(plain, []byte("-refresh"), []byte(`-refresh `), 1), "", ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decodeToken(tt.data, tt.passphrase)
			if !errors.Is(err, tt.want) || !got.IsZero() {
				t.Fatalf("decodeToken = %v, %v; want %v", got, err, tt.want)
			}
			noSecret(t, "the error", err.Error())
		})
	}
}

// Whatever token is stored, by whichever store, is read again: one that would not
// be is refused before.
func TestWhatIsStoredCanBeReadAgain(t *testing.T) {
	with := func(change func(*Token)) Token {
		tok := sample()
		change(&tok)
		return tok
	}
	tokens := map[string]Token{
		"as LinkedIn gives them": sample(),
		"bearer only":            with(func(tok *Token) { tok.Refresh, tok.RefreshExpiresAt = "", time.Time{} }),
		"no dates":               with(func(tok *Token) { tok.AccessExpiresAt, tok.RefreshExpiresAt = time.Time{}, time.Time{} }),
		"as long as can be": with(func(tok *Token) {
			tok.Access, tok.Refresh = strings.Repeat("a", maxToken), strings.Repeat(`"`, maxToken)
		}),
		"too long":           with(func(tok *Token) { tok.Access = strings.Repeat("a", maxToken+1) }),
		"refresh too long":   with(func(tok *Token) { tok.Refresh = strings.Repeat("a", 70_000) }),
		"a line break":       with(func(tok *Token) { tok.Access = planted + "\n" }),
		"a carriage return":  with(func(tok *Token) { tok.Refresh = "a\rb" }),
		"a NUL":              with(func(tok *Token) { tok.Access = "a\x00" }),
		"a blank":            with(func(tok *Token) { tok.Access = " " + planted }),
		"not ASCII":          with(func(tok *Token) { tok.Access = "ü" }),
		"not UTF-8":          with(func(tok *Token) { tok.Access = "\xff" }),
		"scopes not UTF-8":   with(func(tok *Token) { tok.Scopes = []string{"\xff"} }),
		"no consent":         with(func(tok *Token) { tok.AuthorizedAt = time.Time{} }),
		"year 10000":         with(func(tok *Token) { tok.AuthorizedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"endless scopes":     with(func(tok *Token) { tok.Scopes = []string{strings.Repeat("s", encodedLimit)} }),
		"of an installation": with(func(tok *Token) { tok.Installation = "marketing" }),
		"refused": with(func(tok *Token) {
			tok.Refused = Refusal{At: begin, Reason: RefreshRefused, Detail: "400 invalid_request: no \"good\"\u2028"}
		}),
	}
	stored := 0
	for name, tok := range tokens {
		path := tokenFile(t)
		locked, l := tokenFile(t), newLogbook()
		stores := map[string][2]Store{
			"file": {NewFileStore(path, ""), NewFileStore(path, "")}, "encrypted file": {NewFileStore(locked, planted), NewFileStore(locked, planted)},
			"records": {recordStore(l), recordStore(l)},
		}
		for kind, store := range stores {
			if err := store[0].Save(t.Context(), tok); err != nil {
				noSecret(t, "the error", err.Error())
				if _, err := store[1].Load(t.Context()); !errors.Is(err, ErrNoToken) {
					t.Errorf("%s in a %s: it was refused, and Load = %v", name, kind, err)
				}
				continue
			}
			stored++
			got, err := store[1].Load(t.Context())
			if err != nil || !got.Equal(tok.filled()) || got.Refused != tok.Refused {
				t.Errorf("%s in a %s: Load = %v, %v; want what was stored", name, kind, got, err)
			}
		}
	}
	if stored != 3*6 {
		t.Errorf("%d were stored, want the six good ones in each store", stored)
	}
}

// The golden file is what the first release wrote: later ones must read it.
func TestTokenOfTheFirstReleaseIsRead(t *testing.T) {
	const v1 = `{"version":1,"access_token":"a","refresh_token":"r","access_expires_at":"2027-01-01T09:00:00Z",
		"refresh_expires_at":"2027-11-02T09:00:00Z","scopes":["r_events"],"authorized_at":"2026-11-02T09:00:00Z",
		"obtained_at":"2026-11-02T09:00:00.001Z","of_a_later_release":true}`
	got, err := decodeToken([]byte(v1), "")
	want := Token{
		Access: "a", Refresh: "r", AccessExpiresAt: begin.Add(60 * day), RefreshExpiresAt: begin.Add(365 * day),
		Scopes: []string{"r_events"}, AuthorizedAt: begin, ObtainedAt: begin.Add(time.Millisecond),
	}
	if err != nil || !got.Equal(want) {
		t.Errorf("decodeToken = %v, %v; want %v", got, err, want)
	}
}

// FuzzUnseal: whatever is read is complete and survives being sealed again;
// whatever is not is one of the three named errors and quotes nothing.
func FuzzUnseal(f *testing.F) {
	plain, err := encodeToken(sample(), "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add([]byte(`{"version":1,"access_token":"a","refresh_token":"r","authorized_at":"2026-11-02T09:00:00+05:00","obtained_at":"2026-11-02T09:00:00Z"}`))
	f.Add([]byte("age-encryption.org/v1\n-> scrypt AAAA 14\n"))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeToken(data, "")
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrPassphraseMissing) {
				t.Fatalf("error = %v", err)
			}
			if !got.IsZero() {
				t.Fatal("a token together with an error")
			}
			noSecret(t, "the error", err.Error())
			return
		}
		again, err := encodeToken(got, "")
		if err != nil {
			return // a year that JSON cannot carry back
		}
		if back, err := decodeToken(again, ""); err != nil || !back.Equal(got) {
			t.Fatalf("sealed and unsealed: %v, %v; want %v", back, err, got)
		}
	})
}

package oauth

import (
	"strings"
	"testing"
	"time"
)

// Whoever looks at the stored token, in whichever process and after whatever
// restart, knows that LinkedIn refused to renew it.
func TestARefusedRenewalIsRememberedWithTheToken(t *testing.T) {
	path, l := tokenFile(t), newLogbook()
	for kind, store := range map[string]func() Store{
		"file":    func() Store { return NewFileStore(path, passphrase) },
		"records": func() Store { return recordStore(l) },
	} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Store = store() })
			tok := w.connect()
			if err := w.opts.Store.Save(t.Context(), tok); err != nil {
				t.Fatal(err)
			}
			w.clock.Add(55 * day) // due, and good for five more days
			w.linkedin.set(func() { w.linkedin.refresh = "another" })
			if _, err := w.AccessToken(t.Context()); err != nil {
				t.Errorf("AccessToken while the old one lasts = %v", err)
			}
			another := func(readOnly bool) *world {
				return newWorld(t, func(o *Options) {
					o.Store, o.ReadOnly, o.HTTP = store(), readOnly, inProcess{w.linkedin}
					now := w.clock.Now()
					o.Now = func() time.Time { return now }
				})
			}
			for _, readOnly := range []bool{true, false} {
				st, err := another(readOnly).Status(t.Context())
				if err != nil || !st.Usable || !strings.Contains(st.Note, "refused to renew it: consent again before") {
					t.Errorf("while it lasts: %+v, %v", st, err)
				}
			}
			w.clock.Add(6 * day)
			w.linkedin.says(tok, "expired")
			for _, status := range []string{"expired", ""} { // of which LinkedIn knows, and not any more
				w.linkedin.says(tok, status)
				for _, readOnly := range []bool{true, false} {
					st, err := another(readOnly).Status(t.Context())
					if err != nil || st.Usable || st.Problem == "" || !strings.Contains(st.Todo, "auth login") {
						t.Errorf("once it has ended: %+v, %v", st, err)
					}
					if status == "expired" && !strings.Contains(st.Problem, string(RefreshRefused)) {
						t.Errorf("it does not say that the renewal was refused: %s", st.Problem)
					}
					noSecret(t, "the status", st.Problem+st.Note)
				}
			}
			// It is no condemnation: once LinkedIn renews it all is forgotten.
			w.linkedin.set(func() { w.linkedin.refresh = tok.Refresh })
			if got, err := another(false).AccessToken(t.Context()); err != nil || got != planted+"-access-2" {
				t.Errorf("AccessToken once LinkedIn takes it = %q, %v", got, err)
			}
			if st, err := another(true).Status(t.Context()); err != nil || !st.Usable || st.Note != "" {
				t.Errorf("afterwards: %+v, %v", st, err)
			}
		})
	}
}

// A process that starts does not send again at once what LinkedIn has just refused.
func TestARestartDoesNotRepeatWhatWasRefused(t *testing.T) {
	w := newWorld(t, nil)
	w.connect()
	w.linkedin.set(func() { w.linkedin.refresh = "another" })
	w.clock.Add(61 * day)
	for range 4 {
		again := newWorld(t, func(o *Options) { o.Store, o.HTTP, o.Now = w.store, inProcess{w.linkedin}, w.clock.Now })
		again.sleep = w.sleep
		if _, err := again.AccessToken(t.Context()); reasonOf(t, err) != RefreshRefused {
			t.Errorf("AccessToken = %v", err)
		}
	}
	if n := w.linkedin.count(tokenPath); n != 1 {
		t.Errorf("LinkedIn was asked %d times, want once", n)
	}
	w.clock.Add(refusalHolds)
	again := newWorld(t, func(o *Options) { o.Store, o.HTTP, o.Now = w.store, inProcess{w.linkedin}, w.clock.Now })
	again.sleep = w.sleep
	if _, err := again.AccessToken(t.Context()); reasonOf(t, err) != RefreshRefused || w.linkedin.count(tokenPath) != 2 {
		t.Errorf("after %v: %v, asked %d times", refusalHolds, err, w.linkedin.count(tokenPath))
	}
}

// A refusal that comes late is noted with no pair but its own.
func TestALateRefusalChangesNoNewerConsent(t *testing.T) {
	w := newWorld(t, nil)
	old := w.connect()
	w.clock.Add(time.Hour)
	newer := w.connect()
	_ = w.noteRefusal(t.Context(), old, &ConsentNeededError{Reason: RefreshRefused})
	if held := w.store.token(); !held.Equal(newer) || !held.Refused.IsZero() {
		t.Errorf("the store holds %v, refused %v", held, held.Refused)
	}
}

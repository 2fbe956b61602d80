package oauth

import (
	"errors"
	"net/http"
	"reflect"
	"testing"
	"time"

	"leadstream/internal/fault"
)

func TestIntrospectionIsReadWhateverIsMissing(t *testing.T) {
	at := time.Unix(1792713600, 0).UTC()
	tests := []struct {
		name, body string
		want       Introspection
		ok         bool
	}{
		{"as documented", `{"active":true,"client_id":"c","authorized_at":1792713600,"created_at":1792713600,"status":"active","expires_at":1797897600,"scope":"r_a,r_b","auth_type":"3L"}`,
			Introspection{Active: true, Status: "active", Scopes: []string{"r_a", "r_b"}, Scoped: true, ExpiresAt: time.Unix(1797897600, 0).UTC()}, true},
		{"another app's", `{"active":false}`, Introspection{}, true},
		{"expired, alone", `{"active":false,"status":"expired"}`, Introspection{Status: "expired"}, true},
		{"no active but a status", `{"status":"active"}`, Introspection{Active: true, Status: "active"}, true},
		{"fields of other types", `{"active":true,"scope":["r_a"],"expires_at":"1792713600","created_at":{},"status":null,"new":1}`,
			Introspection{Active: true, ExpiresAt: at}, true},
		{"scopes with blanks", `{"active":true,"scope":"r_a r_b"}`, Introspection{Active: true, Scopes: []string{"r_a", "r_b"}, Scoped: true}, true},
		{"no verdict", `{"scope":"r_a"}`, Introspection{}, false},
		{"active of another type", `{"active":"yes"}`, Introspection{}, false},
		{"not JSON", `<html>`, Introspection{}, false},
		{"empty", ``, Introspection{}, false},
		{"null", `null`, Introspection{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseIntrospection([]byte(tt.body))
			if ok != tt.ok || tt.ok && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("= %+v, %v; want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestIntrospectionErrorsSayWhoseFaultItIs(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		app    bool
		kind   fault.Kind
	}{
		{"wrong secret", func(rw http.ResponseWriter, _ *http.Request) { refuse(rw, 401, "invalid_client", "PLANTED") }, true, fault.Pause},
		{"bad client id", func(rw http.ResponseWriter, _ *http.Request) { refuse(rw, 400, "invalid_request", "PLANTED") }, true, fault.Pause},
		{"400 of a proxy", func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "PLANTED", 400) }, false, fault.Retry},
		{"500", func(rw http.ResponseWriter, _ *http.Request) { refuse(rw, 500, "server_error", "PLANTED") }, false, fault.Retry},
		{"HTML", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>PLANTED")) }, false, fault.Retry},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			tok := w.connect()
			w.linkedin.override(introspectPath, tt.answer)
			_, err := w.introspect(t.Context(), tok.Access)
			if err == nil {
				t.Fatal("no error")
			}
			noSecret(t, "the error", err.Error())
			var app *AppRefusedError
			if errors.As(err, &app) != tt.app || fault.KindOf(err) != tt.kind || errors.Is(err, ErrConsentNeeded) {
				t.Errorf("error = %v (%v)", err, fault.KindOf(err))
			}
		})
	}
}

func TestScopeForWritingIncludesReading(t *testing.T) {
	got := missingScopes([]string{"r_events", "r_ads", "rw_x", "openid"}, []string{"rw_events", "r_x", "openid"})
	if want := []string{"r_ads", "rw_x"}; !reflect.DeepEqual(got, want) {
		t.Errorf("missing = %v, want %v", got, want)
	}
}

func TestStatusTellsWhetherTheConnectionWorksAndWhatToDo(t *testing.T) {
	bearer := func(m *memory) { m.held.Refresh, m.held.RefreshExpiresAt = "", time.Time{} }
	tests := []struct {
		name    string
		after   time.Duration
		store   func(*memory)
		status  string // what LinkedIn says; "away" is 503, "secret" 401
		usable  bool
		problem string
		note    bool
		unasked bool
	}{
		{name: "good", status: "active", usable: true},
		{name: "none", store: func(m *memory) { m.held = Token{} }, problem: string(NoToken)},
		{name: "revoked", after: time.Hour, status: "revoked", problem: string(AccessRevoked)},
		{name: "unknown", after: time.Hour, status: "", problem: string(AccessUnknown)},
		{name: "expired but renewable", after: 61 * day, status: "expired", usable: true, note: true},
		{name: "both expired", after: 366 * day, status: "expired", problem: string(RefreshExpired)},
		{name: "bearer only", store: bearer, status: "active", usable: true, note: true},
		{name: "bearer only expired", after: 61 * day, store: bearer, status: "expired", problem: string(AccessExpired)},
		{name: "away", status: "away", usable: true, unasked: true},
		{name: "away and expired", after: 366 * day, status: "away", problem: string(RefreshExpired), unasked: true},
		{name: "wrong secret", status: "secret", problem: "LinkedIn refused the app's credentials"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			tok := w.connect()
			if tt.store != nil {
				w.store.set(tt.store)
			}
			w.linkedin.set(func() { w.linkedin.status[tok.Access] = tt.status })
			switch tt.status {
			case "away":
				w.linkedin.override(introspectPath, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(503) })
			case "secret":
				w.linkedin.override(introspectPath, func(rw http.ResponseWriter, _ *http.Request) { refuse(rw, 401, "invalid_client", "") })
			}
			w.clock.Add(tt.after)
			st, err := w.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if st.Usable != tt.usable || st.Problem != tt.problem || (st.Todo == "") != st.Usable {
				t.Errorf("usable %v, problem %q, todo %q; want %v, %q", st.Usable, st.Problem, st.Todo, tt.usable, tt.problem)
			}
			if (st.Note != "") != tt.note && st.Usable || (st.Unchecked != nil) != tt.unasked {
				t.Errorf("note %q, unchecked %v", st.Note, st.Unchecked)
			}
			if n := w.linkedin.count(tokenPath); n != 0 || w.store.saves != 0 {
				t.Errorf("Status made %d exchanges and %d saves", n, w.store.saves)
			}
		})
	}
}

func TestStatusCountsDaysAndNamesMissingScopes(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Scopes = append([]string{"r_ads"}, wanted...) })
	w.connect()
	w.clock.Add(10*day + time.Hour)
	st, err := w.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if *st.AccessDaysLeft != 49 || *st.RefreshDaysLeft != 354 {
		t.Errorf("days left = %d, %d; want 49, 354", *st.AccessDaysLeft, *st.RefreshDaysLeft)
	}
	if st.Usable || !reflect.DeepEqual(st.Missing, []string{"r_ads"}) || st.Problem != string(ScopesMissing)+": r_ads" {
		t.Errorf("missing = %v, problem %q", st.Missing, st.Problem)
	}
	w.clock.Add(60 * day)
	if st, err = w.Status(t.Context()); err != nil || *st.AccessDaysLeft != -11 {
		t.Errorf("days left = %v, %v; want -11", *st.AccessDaysLeft, err)
	}
}

func TestStatusOfAnUnreadableStoreIsAnError(t *testing.T) {
	w := newWorld(t, nil)
	w.store.set(func(m *memory) { m.loadErr = ErrPassphrase })
	if _, err := w.Status(t.Context()); !errors.Is(err, ErrPassphrase) {
		t.Errorf("error = %v, want the store's", err)
	}
}

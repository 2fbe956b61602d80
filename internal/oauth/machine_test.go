package oauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/internal/fault"
)

// stateTable says what each event does in each state; "·" changes none. The same
// table is in docs/design.md.
const stateTable = `
| Event | none | valid | expiring | rejected | refused | expired | revoked | lost |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| a tenth of its life is left | · | expiring | · | · | · | · | · | · |
| the access token ends | · | expired | expired | expired | lost | · | · | · |
| renewed pair stored | valid | · | valid | · | valid | valid | valid | valid |
| new consent stored | valid | · | valid | valid | valid | valid | valid | valid |
| token removed | · | none | none | none | none | none | none | none |
| introspection: active | · | · | · | · | · | valid | valid | refused |
| introspection: expired | · | · | · | · | · | · | expired | · |
| introspection: revoked or unknown | · | · | · | · | · | revoked | · | · |
| 401, introspection: active | · | · | · | · | · | valid | valid | refused |
| 401, introspection: expired | · | expired | expired | expired | lost | · | expired | · |
| 401, introspection: revoked or unknown | · | revoked | revoked | revoked | lost | revoked | · | · |
| refresh refused | · | refused | refused | refused | · | lost | lost | · |
| API refuses the token all the same | · | rejected | rejected | · | · | · | · | · |
| API accepts a request | · | · | · | valid | · | · | · | · |
`

// idleEvents change no state.
var idleEvents = []string{
	"401, no answer of introspection", "app refused by introspection",
	"app refused by the token endpoint", "no answer of the token endpoint", "renewal failed",
	"pair issued and not saved yet", "save superseded", "store unreadable", "store cannot be written",
	"old token stored", "late events of an old token",
}

// at is when the connections of the table are looked at.
var at = begin

// known gives a connection in a state. What it holds was given 30 days ago and is
// good for 30 more, or nearly ended.
func known(p phase) connection {
	t := Token{
		Access: "access", Refresh: "refresh", AuthorizedAt: at.Add(-30 * day), ObtainedAt: at.Add(-30 * day),
		AccessExpiresAt: at.Add(30 * day), RefreshExpiresAt: at.Add(335 * day), Scopes: wanted,
	}
	refusal := Refusal{At: at.Add(-time.Hour), Reason: RefreshRefused}
	c := connection{now: at, token: t, issued: t.ObtainedAt, readAt: at.Add(-time.Second)}
	dead := func(status string) {
		c.checked, c.dead = introspected{access: t.Access, answer: Introspection{Status: status}, of401: true}, true
	}
	switch p {
	case phaseNone:
		c.token, c.issued = Token{}, time.Time{}
	case phaseExpiring:
		c.token.ObtainedAt = at.Add(-290 * day)
	case phaseRejected:
		c.rejection = rejection{consent: t.AuthorizedAt, since: at.Add(-time.Hour)}
	case phaseRefused:
		c.token.Refused = refusal
	case phaseExpired, phaseRevoked:
		dead(string(p))
	case phaseLost:
		c.token.Refused = refusal
		dead("revoked")
	}
	return c
}

var allPhases = []phase{phaseNone, phaseValid, phaseExpiring, phaseRejected, phaseRefused, phaseExpired, phaseRevoked, phaseLost}

// steps are the events of the table, and time, for the token that a connection has.
var steps = map[string]func(c connection) (connection, event){
	"a tenth of its life is left": passing(28 * day),
	"the access token ends":       passing(31 * day),
	"renewed pair stored": one(func(t Token) event {
		t.Access, t.ObtainedAt, t.AccessExpiresAt, t.Refused = "renewed", at, at.Add(60*day), Refusal{}
		return tokenStored{t}
	}),
	"new consent stored": one(func(t Token) event {
		return tokenStored{Token{Access: "new", Refresh: "new", AuthorizedAt: at, ObtainedAt: at, AccessExpiresAt: at.Add(60 * day), RefreshExpiresAt: at.Add(365 * day)}}
	}),
	"token removed":                          one(func(Token) event { return tokenRemoved{} }),
	"introspection: active":                  one(asked(false, Introspection{Active: true}, nil)),
	"introspection: expired":                 one(asked(false, Introspection{Status: "expired"}, nil)),
	"introspection: revoked or unknown":      one(asked(false, Introspection{Status: "revoked"}, nil)),
	"401, introspection: active":             one(asked(true, Introspection{Active: true, Status: "active"}, nil)),
	"401, introspection: expired":            one(asked(true, Introspection{Status: "expired"}, nil)),
	"401, introspection: revoked or unknown": one(asked(true, Introspection{}, nil)),
	"401, no answer of introspection":        one(asked(true, Introspection{}, errors.New("timeout"))),
	"app refused by introspection":           one(asked(true, Introspection{}, &AppRefusedError{Status: 401})),
	"refresh refused": one(func(t Token) event {
		t.Refused = Refusal{At: at, Reason: RefreshRefused}
		return refreshRefused{t}
	}),
	"API refuses the token all the same": one(func(t Token) event { return apiRejected{t} }),
	"API accepts a request":              one(func(Token) event { return apiAccepted{} }),
	"app refused by the token endpoint":  one(func(Token) event { return exchangeAnswered{&AppRefusedError{Status: 401}} }),
	"no answer of the token endpoint":    one(func(Token) event { return exchangeAnswered{&AnswerError{Status: 503}} }),
	"renewal failed":                     one(func(t Token) event { return renewalFailed{t, errors.New("timeout")} }),
	"pair issued and not saved yet":      one(func(t Token) event { return tokenIssued{unsavedFor(t)} }),
	"save superseded":                    one(func(Token) event { return saveSuperseded{} }),
	"store unreadable":                   one(func(Token) event { return storeUnreadable{} }),
	"store cannot be written":            one(func(Token) event { return storeTried{fault.As(fault.Pause, errors.New("read-only"))} }),
	"old token stored": func(c connection) (connection, event) {
		old := c.token
		old.Access, old.AuthorizedAt = "old", old.AuthorizedAt.Add(-day)
		if c.token.IsZero() {
			return c, nil
		}
		return c, tokenStored{old}
	},
	"late events of an old token": func(c connection) (connection, event) {
		old := Token{Access: "old", Refresh: "old", AuthorizedAt: at.Add(-90 * day), ObtainedAt: at.Add(-90 * day)}
		old.Refused = Refusal{At: at, Reason: RefreshRefused}
		if c.rejection.consent.IsZero() {
			c = transition(c, apiRejected{old})
		}
		c = transition(c, refreshRefused{old})
		return c, renewalFailed{old, errors.New("timeout")}
	},
}

func unsavedFor(t Token) Token {
	t.Access, t.ObtainedAt = "unsaved", at
	return t
}

func passing(d time.Duration) func(connection) (connection, event) {
	return func(c connection) (connection, event) {
		c.now = c.now.Add(d)
		return c, nil
	}
}

func one(e func(Token) event) func(connection) (connection, event) {
	return func(c connection) (connection, event) { return c, e(c.token) }
}

func asked(of401 bool, in Introspection, err error) func(Token) event {
	return func(t Token) event { return introspected{access: t.Access, answer: in, err: err, of401: of401} }
}

func step(name string, c connection) connection {
	c, e := steps[name](c)
	if e != nil {
		c = transition(c, e)
	}
	return c
}

// expected are the cells of the table, by event and state.
func expected(t *testing.T) map[string]map[phase]phase {
	t.Helper()
	cells := func(line string) []string { return strings.Split(strings.Trim(line, "| "), " | ") }
	want := map[string]map[phase]phase{}
	lines := strings.Split(strings.TrimSpace(stateTable), "\n")
	if head := cells(lines[0])[1:]; fmt.Sprint(head) != fmt.Sprint(allPhases) {
		t.Fatalf("the columns are %v, want %v", head, allPhases)
	}
	for _, line := range lines[2:] {
		row := cells(line)
		want[row[0]] = map[phase]phase{}
		for i, p := range allPhases {
			want[row[0]][p] = phase(row[1+i])
		}
	}
	for _, idle := range idleEvents {
		want[idle] = map[phase]phase{}
		for _, p := range allPhases {
			want[idle][p] = "·"
		}
	}
	return want
}

func TestEveryEventDoesInEveryStateWhatTheTableSays(t *testing.T) {
	want := expected(t)
	if got := slices.Sorted(maps.Keys(want)); !slices.Equal(got, slices.Sorted(maps.Keys(steps))) {
		t.Fatalf("the table has the events %q, the steps are %q", got, slices.Sorted(maps.Keys(steps)))
	}
	for name := range steps {
		for _, p := range allPhases {
			before := known(p)
			if before.phase() != p {
				t.Fatalf("the connection made for %s is in %s", p, before.phase())
			}
			after := step(name, before)
			got := after.phase()
			if got == p {
				got = "·"
			}
			if got != want[name][p] {
				t.Errorf("%q in %s gives %s, want %s", name, p, got, want[name][p])
			}
			if again := step(name, before); !reflect.DeepEqual(again, after) {
				t.Errorf("%q in %s gives one thing now and another then", name, p)
			}
		}
	}
}

// A new event needs a row, and the design shows the table as it is.
func TestTheTableHasEveryEventAndStandsInTheDesign(t *testing.T) {
	code, err := os.ReadFile("machine.go")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile("machine_test.go")
	if err != nil {
		t.Fatal(err)
	}
	events := regexp.MustCompile(`(?m)^func \((?:e )?(\w+)\) change\(`).FindAllSubmatch(code, -1)
	for _, e := range events {
		if !regexp.MustCompile(`\b` + string(e[1]) + `\{`).Match(rows) {
			t.Errorf("no step of the table is a %s", e[1])
		}
	}
	design, err := os.ReadFile("../../docs/design.md")
	if err != nil || len(events) == 0 || !strings.Contains(strings.ReplaceAll(string(design), "\n  |", "\n|"), strings.TrimSpace(stateTable)) {
		t.Errorf("docs/design.md does not hold the table: %v", err)
	}
}

func TestOnlyALogoutTakesTheTokenAndAnIssuedPairIsNeverForgotten(t *testing.T) {
	settled := []string{"new consent stored", "token removed", "save superseded"}
	for name := range steps {
		for _, p := range allPhases[1:] {
			c := known(p)
			c = transition(c, tokenIssued{unsavedFor(c.token)})
			c = step(name, c)
			if c.token.IsZero() != (name == "token removed") {
				t.Errorf("%q in %s: token %v", name, p, c.token)
			}
			if name != "renewed pair stored" && c.unsaved.IsZero() != slices.Contains(settled, name) {
				t.Errorf("%q in %s: unsaved %v", name, p, c.unsaved)
			}
		}
	}
}

func TestEveryStateSaysWhetherTheTokenIsUsedAndWhetherItIsRenewedAhead(t *testing.T) {
	tests := map[phase]struct{ usable, due bool }{
		phaseNone: {}, phaseValid: {usable: true}, phaseExpiring: {usable: true, due: true}, phaseRejected: {usable: true},
		phaseRefused: {usable: true}, phaseExpired: {}, phaseRevoked: {}, phaseLost: {},
	}
	marks := []struct {
		name string
		set  func(*connection)
		due  func(usual bool) bool
	}{
		{"nothing", func(*connection) {}, func(usual bool) bool { return usual }},
		{"a pair that is not saved", func(c *connection) { c.unsaved = unsavedFor(c.token) }, func(bool) bool { return true }},
		{"the app just refused", func(c *connection) { c.exchange = appRefusal{&AppRefusedError{}, at} }, func(usual bool) bool { return usual }},
		{"the app refused a while ago", func(c *connection) { c.exchange = appRefusal{&AppRefusedError{}, at.Add(-appHolds)} }, func(bool) bool { return true }},
		{"a renewal failed just now", func(c *connection) { c.renewAt = at.Add(time.Second); c.unsaved = unsavedFor(c.token) }, func(bool) bool { return false }},
		{"read only", func(c *connection) { c.readOnly = true; c.unsaved = unsavedFor(c.token) }, func(bool) bool { return false }},
		{"no refresh token", func(c *connection) { c.token.Refresh = "" }, func(bool) bool { return false }},
	}
	for p, want := range tests {
		for _, m := range marks {
			c := known(p)
			m.set(&c)
			if due := !c.token.IsZero() && c.due(); due != (p != phaseNone && m.due(want.due)) {
				t.Errorf("%s, %s: due %v", p, m.name, due)
			}
			if c.phase().usable() != want.usable {
				t.Errorf("%s, %s: usable %v", p, m.name, c.phase().usable())
			}
		}
	}
	if len(tests) != len(allPhases) {
		t.Errorf("%d states are tested, want %d", len(tests), len(allPhases))
	}
}

// Beside the state, events set and clear marks.
func TestEventsSetAndClearTheMarksBesideTheState(t *testing.T) {
	app := appRefusal{&AppRefusedError{Status: 401}, at}
	of := func(p phase, change func(*connection)) connection {
		c := known(p)
		change(&c)
		return c
	}
	unchanged := func(*connection) {}
	other := Token{Access: "other", AuthorizedAt: at.Add(-day), ObtainedAt: at.Add(-day)}
	tests := []struct {
		name  string
		is    connection
		event string
		want  func(c connection) bool
	}{
		{"a new pair ends the wait after a failed renewal", of(phaseExpiring, func(c *connection) { c.renewAt = at.Add(time.Hour) }), "renewed pair stored",
			func(c connection) bool { return c.renewAt.IsZero() }},
		{"a new pair shows that the app is accepted", of(phaseValid, func(c *connection) { c.exchange = app }), "renewed pair stored",
			func(c connection) bool { return c.exchange.err == nil }},
		{"introspection that accepts the app again lets it renew", of(phaseValid, func(c *connection) { c.exchange, c.introspection = app, app }), "introspection: active",
			func(c connection) bool { return c.exchange.err == nil && c.introspection.err == nil }},
		{"introspection that accepted the app before says nothing of renewing", of(phaseValid, func(c *connection) { c.exchange = app }), "introspection: active",
			func(c connection) bool { return c.exchange.err != nil }},
		{"a pair that appears is fresh", known(phaseValid), "renewed pair stored", func(c connection) bool { return c.fresh() }},
		{"a pair that was there before the process is as old as it says", of(phaseNone, func(c *connection) { c.readAt = time.Time{} }), "old pair stored",
			func(c connection) bool { return c.issued.Equal(at.Add(-day)) }},
		{"a pair that appears later is fresh whatever it says", known(phaseNone), "old pair stored", func(c connection) bool { return c.fresh() }},
		{"what is known of a fresh token says nothing of another", of(phaseValid, func(c *connection) { c.issued = at }), "introspection: active",
			func(c connection) bool { return c.fresh() && !c.of(other).fresh() }},
		{"the same pair read again keeps its refusal", known(phaseRefused), "same pair stored",
			func(c connection) bool { return c.refusal() != nil }},
		{"a rejected token that introspection calls dead is no rejection of the API", known(phaseRevoked), "API refuses the token all the same",
			func(c connection) bool { return c.rejection == rejection{} }},
		{"a token is renewed once although nobody says that it is dead", of(phaseValid, unchanged), "401, no answer of introspection",
			func(c connection) bool { return !c.mayForce() }},
		{"nor is it renewed again when it is called active", of(phaseValid, unchanged), "401, introspection: active",
			func(c connection) bool { return !c.mayForce() }},
		{"a refused app forces nothing", of(phaseValid, unchanged), "app refused by introspection",
			func(c connection) bool { return c.mayForce() && c.introspection.err != nil }},
		{"a dead token is renewed at the next request although that failed", known(phaseExpired), "renewal failed",
			func(c connection) bool { return c.renewAt.IsZero() }},
		{"a store that cannot be written stays so while another process has it", of(phaseValid, func(c *connection) { c.storeErr = ErrPlain }), "store taken",
			func(c connection) bool { return errors.Is(c.storeErr, ErrPlain) }},
	}
	more := map[string]func(c connection) event{
		"old pair stored":  func(connection) event { return tokenStored{other} },
		"same pair stored": func(c connection) event { c.token.Refused = Refusal{}; return tokenStored{c.token} },
		"store taken":      func(connection) event { return storeTried{&FileError{Err: context.DeadlineExceeded}} },
	}
	for _, tt := range tests {
		c := tt.is
		if e := more[tt.event]; e != nil {
			c = transition(c, e(c))
		} else {
			c = step(tt.event, c)
		}
		if !tt.want(c) {
			t.Errorf("%s: not so after %q: %+v", tt.name, tt.event, c)
		}
	}
}

package web

import "time"

// View is what the status page and /api/status show: one snapshot of the
// installation as this process knows it. It holds no answer of any lead, no
// token and no secret; its texts may come from LinkedIn and are escaped here.
// Times are UTC, the zero time means "not yet"; durations are in seconds.
type View struct {
	// Name is the installation's name, Version the program's.
	Name    string `json:"name"`
	Version string `json:"version"`
	// Time is when the snapshot was taken; New's clock fills it in when zero.
	Time time.Time `json:"time"`
	// ReadAt is set for a process that stands by: its work is shown as it was
	// then. Zero means as it is.
	ReadAt time.Time `json:"read_at,omitzero"`

	Process       Process        `json:"process"`
	Connection    Connection     `json:"connection"`
	Organizations []Organization `json:"organizations"`
	Sources       []Source       `json:"sources"`
	Forms         []Form         `json:"forms"`
	Tasks         []Task         `json:"tasks"`
	// Hours are the leads committed in each hour of the last day, oldest first;
	// nil when nobody counted them, and then the page claims nothing.
	Hours       []Hour      `json:"hours"`
	Latency     Latency     `json:"latency"`
	Budget      Budget      `json:"budget"`
	DeadLetters DeadLetters `json:"dead_letters"`
	// Errors are the last ones, newest first, repeated ones merged.
	Errors []Error `json:"errors"`
	// Problems are what is amiss, the worst first. The Server makes them from all else.
	Problems []Problem `json:"problems"`
}

// Process says which process does the work.
type Process struct {
	// ID names this process as people know it, such as its host name.
	ID string `json:"id"`
	// Active: this process works; else it stands by.
	Active bool `json:"active"`
	// Since is when it began to work or to stand by.
	Since time.Time `json:"since,omitzero"`
	// Started is when the program started.
	Started time.Time `json:"started,omitzero"`
	// Other names the active process while this one stands by; empty when
	// nobody knows.
	Other string `json:"other,omitzero"`
}

// State is how a part of the work fares. The page shows each with a word and a
// shape, never by colour alone.
type State string

// The states.
const (
	OK      State = "ok"      // as it should be
	Waiting State = "waiting" // not yet, or for a moment; nothing to do
	Warning State = "warning" // works, but a person should look soon
	Failing State = "failing" // does not work until a person or the other side acts
)

// Connection is the consent at LinkedIn.
type Connection struct {
	// State: OK when tokens are usable, Warning when the consent ends within 30
	// days, Failing when consent is needed, Waiting while nothing is known.
	State State `json:"state"`
	// Problem and Todo say what is wrong and what to do; Note deserves attention
	// although it works.
	Problem string `json:"problem,omitzero"`
	Todo    string `json:"todo,omitzero"`
	Note    string `json:"note,omitzero"`
	// Stored: there is a token, whatever its health.
	Stored bool `json:"stored"`
	// AuthorizedAt is when the member consented.
	AuthorizedAt     time.Time `json:"authorized_at,omitzero"`
	AccessExpiresAt  time.Time `json:"access_expires_at,omitzero"`
	RefreshExpiresAt time.Time `json:"refresh_expires_at,omitzero"`
	// Refreshable: LinkedIn gave a refresh token.
	Refreshable bool `json:"refreshable"`
	// CheckedAt is when LinkedIn last confirmed it.
	CheckedAt     time.Time `json:"checked_at,omitzero"`
	Scopes        []string  `json:"scopes"`
	MissingScopes []string  `json:"missing_scopes"`
}

// Organization is one organization and what the member may do there.
type Organization struct {
	URN   string   `json:"urn"`
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
	// Access: OK when its leads can be read, Warning when they cannot and nobody
	// asked for them, which is no problem.
	Access  State  `json:"access"`
	Problem string `json:"problem,omitzero"`
	Todo    string `json:"todo,omitzero"`
}

// Source is an owner's leads of one type, polled together.
type Source struct {
	Owner    string `json:"owner"` // URN
	LeadType string `json:"lead_type"`
	State    State  `json:"state"`
	// Live is up to when submissions are in Kafka.
	Live        time.Time `json:"live,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	// LagSeconds is how long ago the oldest lead can have been submitted that should
	// be in Kafka and is not: how far Live stays behind the clock, or what is left of
	// an outage.
	LagSeconds float64 `json:"lag_seconds"`
	// Cause is the part of the Error that keeps it from being read; may be empty.
	Cause string `json:"cause,omitzero"`
	// Notified: LinkedIn notifies of its leads, by webhook.
	Notified bool   `json:"notified,omitzero"`
	Problem  string `json:"problem,omitzero"`
	Todo     string `json:"todo,omitzero"`
}

// Form is one lead form with its topic.
type Form struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Owner  string   `json:"owner"` // URN
	Events []string `json:"events"`
	Topic  string   `json:"topic"`
	// SchemaID and SchemaVersion are the registry's, 0 while there is none.
	SchemaID      int       `json:"schema_id,omitzero"`
	SchemaVersion int       `json:"schema_version,omitzero"`
	Fields        int       `json:"fields,omitzero"`
	Leads         int64     `json:"leads"`
	LastLead      time.Time `json:"last_lead,omitzero"`
	// LagSeconds is that of the form's source; with 0 the page shows that of
	// its owner's sources.
	LagSeconds float64 `json:"lag_seconds"`
	State      State   `json:"state"`
	// Label is the state in the connector's own word (suspended, …); with none,
	// or "ok", the page chooses one.
	Label   string `json:"label,omitzero"`
	Problem string `json:"problem,omitzero"`
	Todo    string `json:"todo,omitzero"`
	// Cause is the part that the problem is about; may be empty.
	Cause string `json:"cause,omitzero"`
	// Waiting: leads wait for this form to be recovered.
	Waiting bool `json:"owed,omitzero"`
}

// Task is work with an end: a backfill, a replay, a repair.
type Task struct {
	Kind string `json:"kind"` // backfill, replay, repair
	// Name tells it from others of its kind: an organization's name or a
	// replay's id.
	Name string    `json:"name"`
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Ratio is the part that is done, 0 to 1.
	Ratio float64 `json:"ratio"`
	Done  bool    `json:"done"`
	Leads int64   `json:"leads,omitzero"` // published by it
}

// Hour is the number of leads committed in the hour that begins at Start.
type Hour struct {
	Start time.Time `json:"start"`
	Leads int64     `json:"leads"`
}

// Latency is the time from submission to commit of the live leads of late.
type Latency struct {
	P50Seconds float64 `json:"p50_seconds"`
	P99Seconds float64 `json:"p99_seconds"`
	// Leads is how many the figures rest on; with 0 there are no figures.
	Leads int64 `json:"leads"`
}

// Budget is the use of LinkedIn's API in this UTC day.
type Budget struct {
	// Resets is when the counting starts again.
	Resets time.Time `json:"resets,omitzero"`
	// Paced: requests are spread because a limit was met.
	Paced bool   `json:"paced"`
	Note  string `json:"note,omitzero"`
	// Endpoints are those that were asked today; nil when nobody counted, as in a
	// process that stands by.
	Endpoints []Endpoint `json:"endpoints"`
}

// Endpoint is one endpoint's use.
type Endpoint struct {
	Name string `json:"name"`
	Used int64  `json:"used"`
	// Limit is 0 when none is known.
	Limit     int64 `json:"limit,omitzero"`
	Throttled int64 `json:"throttled,omitzero"`
}

// DeadLetters are the responses that could not be published. Without a Topic
// they are not known.
type DeadLetters struct {
	Topic string `json:"topic"`
	Total int64  `json:"total"`
	// More: there are more than Total.
	More    bool      `json:"more,omitzero"`
	Last    time.Time `json:"last,omitzero"`
	Reasons []Reason  `json:"reasons"`
}

// Reason is why some responses are dead letters.
type Reason struct {
	Name  string `json:"name"`
	Text  string `json:"text,omitzero"` // the same in words; may be empty
	Count int64  `json:"count"`
}

// Error is something that went wrong, with what to do about it.
type Error struct {
	Time  time.Time `json:"time"`           // the last time
	First time.Time `json:"first,omitzero"` // the first time, when repeated
	Count int       `json:"count,omitzero"` // how often; 0 counts as 1
	// Since is when it began this time.
	Since time.Time `json:"since,omitzero"`
	// State: Failing needs a person, Waiting is tried again by itself, Warning is for
	// a person to look at, but stops nothing; empty is Failing.
	State State  `json:"state,omitzero"`
	Part  string `json:"part"` // kafka, registry, schemas, linkedin, consent, replay, an organization's URN, a form's id
	Text  string `json:"text"`
	Todo  string `json:"todo,omitzero"`
	// Over: it has recovered since.
	Over bool `json:"over,omitzero"`
}

// Readiness is the answer to /readyz. It is served without a password to everyone
// who can reach the port: who makes it must see to it that it holds neither names
// nor addresses. Organizations and forms stand in it by their ids, for which the
// page, which is not for everyone, puts the names.
type Readiness struct {
	// Ready: configured, and Kafka was reached.
	Ready bool `json:"ready"`
	// Degraded is what does not work now; /readyz?strict=1 is 503 while it is
	// not empty.
	Degraded []Degradation `json:"degraded"`
}

// Degradation is one thing that does not work.
type Degradation struct {
	Part string `json:"part"` // kafka, registry, schemas, consent, notifications, role, form, source
	// Reason says what is amiss: with organizations by URN and forms by id.
	Reason string `json:"reason"`
	Todo   string `json:"todo,omitzero"`
}

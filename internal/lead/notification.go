package lead

import "time"

// Notification is LinkedIn's word that a response came or went. It carries no
// answers: those are fetched.
type Notification struct {
	Action     Action
	ResponseID string  // as in Response.ID
	Form       FormRef // the version that was answered
	Source     Source
	// OccurredAt is when it happened: UTC, in milliseconds. Where LinkedIn tells
	// the second alone it is the last millisecond of it.
	OccurredAt time.Time
}

// Action is what happened to a response.
type Action string

// The actions, as LinkedIn spells them. It is an open set.
const (
	Created Action = "CREATED"
	Deleted Action = "DELETED" // for one, the member has left the event
)

// Subscription is LinkedIn's promise to notify a webhook of an owner's leads.
type Subscription struct {
	ID      string // decimal digits
	Source  Source
	Webhook string // URL
	// Narrowed: it is limited to one event or form.
	Narrowed bool
}

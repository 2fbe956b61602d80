package linkedinsim

// Event is a LinkedIn event in the shape of the Events API, which is also the
// shape that the control API takes.
type Event struct {
	ID          int64         `json:"id"`
	Name        Localized     `json:"name"`
	Description LocalizedLong `json:"description"`
	Organizer   string        `json:"organizer"` // URN of an organization
	VanityName  string        `json:"vanityName,omitempty"`
	StartsAt    int64         `json:"startsAt"` // epoch milliseconds
	Type        EventType     `json:"type"`
	Discovery   string        `json:"discoveryMode"` // LISTED, URL_ONLY
	Entry       string        `json:"entryCriteria"` // PUBLIC, GATED
	LeadGenForm string        `json:"leadGenForm,omitempty"`
	Created     *Stamp        `json:"created,omitempty"`
	Modified    *Stamp        `json:"lastModified,omitempty"`
	Cancelled   bool          `json:"cancelled,omitempty"` // for the control API; LinkedIn does not print it
}

// Localized is a text per locale (en_US, …).
type Localized struct {
	Localized map[string]string `json:"localized"`
}

// LocalizedLong is a long text per locale, as events describe themselves.
type LocalizedLong struct {
	Localized map[string]RawText `json:"localized"`
}

// RawText is a text without mark-up.
type RawText struct {
	RawText string `json:"rawText"`
}

// EventType is a union: exactly one member is set.
type EventType struct {
	Online   *Online   `json:"online,omitempty"`
	InPerson *InPerson `json:"inPerson,omitempty"`
}

// Online is an event on the web.
type Online struct {
	Format OnlineFormat `json:"format"`
}

// OnlineFormat is a union: exactly one member is set.
type OnlineFormat struct {
	External *Place `json:"external,omitempty"`
	Live     *Place `json:"live,omitempty"`
}

// InPerson is an event at a place.
type InPerson struct {
	Place
	Address map[string]string `json:"address,omitempty"`
}

// Place is where an event is and when it ends (epoch milliseconds).
type Place struct {
	URL    string `json:"url,omitempty"`
	EndsAt int64  `json:"endsAt"`
}

// URN is urn:li:event:<ID>.
func (e *Event) URN() string { return eventURN(e.ID) }

// endsAt is when the event ends, in epoch milliseconds.
func (e *Event) endsAt() int64 {
	switch {
	case e.Type.InPerson != nil:
		return e.Type.InPerson.EndsAt
	case e.Type.Online != nil && e.Type.Online.Format.External != nil:
		return e.Type.Online.Format.External.EndsAt
	case e.Type.Online != nil && e.Type.Online.Format.Live != nil:
		return e.Type.Online.Format.Live.EndsAt
	}
	return e.StartsAt
}

// lifeCycle is the value of timeBasedFilter's lifeCycleState at a moment.
func (e *Event) lifeCycle(millis int64) string {
	switch {
	case millis < e.StartsAt:
		return "UPCOMING"
	case millis < e.endsAt():
		return "ONGOING"
	}
	return "PAST"
}

package linkedinsim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// What a notification says has happened to a lead (leadNotifications).
const (
	actionCreated = "CREATED" // the member submitted the form
	actionDeleted = "DELETED" // the member left the event
)

// notice is one thing that happened to one lead, apart from how it is written.
type notice struct {
	lead     string
	form     int64
	version  int
	owner    int64
	event    int64 // 0 for none
	kind     leadType
	action   string
	occurred int64 // epoch milliseconds
}

// tell lets those who subscribed know what happened to row n at a moment in
// epoch milliseconds. It is called with w.mu held, and only queues.
func (w *World) tell(n uint32, action string, occurred int64) {
	if w.notifier == nil || !w.notifier.listened.Load() {
		return
	}
	w.notifier.announce(w.notice(n, action, occurred))
}

// notice describes what happened to row n, w.mu held.
func (w *World) notice(n uint32, action string, occurred int64) notice {
	r := w.pageRow(n)
	v := w.versions[r.version]
	x := notice{
		lead: w.leadID(r), form: v.form.ID, version: v.form.VersionID, owner: w.orgs[v.org].ID,
		kind: r.kind, action: action, occurred: occurred,
	}
	if action == actionCreated {
		x.occurred += w.switches.Load().OccurredAfter.Milliseconds()
	}
	if r.event >= 0 {
		x.event = w.events[r.event].ID
	}
	return x
}

// leadID is the id of a lead as text.
func (w *World) leadID(r pageRow) string {
	if r.x != nil && r.x.id != "" {
		return r.x.id
	}
	return string(w.ids.appendTo(nil, r.n))
}

// body is the notice as it is sent: the members in the order of LinkedIn's
// samples, without blanks.
func (x notice) body(sw Switches) []byte {
	text := struct {
		Type       string      `json:"type"`
		Response   string      `json:"leadGenFormResponse"`
		Form       string      `json:"leadGenForm"`
		Owner      Owner       `json:"owner"`
		Entity     *LeadEntity `json:"associatedEntity,omitempty"`
		LeadType   string      `json:"leadType"`
		LeadAction string      `json:"leadAction"`
		OccurredAt int64       `json:"occurredAt"`
	}{
		Type: "LEAD_ACTION", Response: responsePrefix + x.lead, Form: versionedFormURN(x.form, x.version, sw.BlankInNotice),
		Owner: Owner{Organization: organizationURN(x.owner)}, LeadType: x.kind.String(), LeadAction: x.action, OccurredAt: x.occurred,
	}
	if x.event != 0 {
		text.Entity = &LeadEntity{Event: eventURN(x.event)}
	}
	if sw.OccurredInSeconds {
		text.OccurredAt /= 1000
	}
	return mustJSON(text)
}

const signaturePrefix = "hmacsha256="

// signature is the value of X-LI-Signature over a body. What is signed begins
// with the name of the procedure, which the header does not repeat.
func signature(secret string, body []byte, sw Switches) string {
	text := signaturePrefix + string(body)
	if sw.SignatureOfBody {
		text = string(body)
	}
	if sw.SignaturePrefixed {
		return signaturePrefix + keyedHash(secret, text)
	}
	return keyedHash(secret, text)
}

// keyedHash is the HMAC-SHA256 of text in lower-case hexadecimal.
func keyedHash(secret, text string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text)) // a hash never fails
	return hex.EncodeToString(h.Sum(nil))
}

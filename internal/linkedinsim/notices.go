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

// notice describes what happened to row n at a moment in epoch milliseconds.
func (w *World) notice(n uint32, action string, occurred int64) notice {
	r, v := w.rows[n], w.rows[n].version
	x := notice{
		lead: w.leadID(n), form: v.ID, version: v.VersionID, owner: v.org.ID,
		kind: r.kind, action: action, occurred: occurred,
	}
	if action == actionCreated {
		x.occurred += w.switches.OccurredAfter.Milliseconds()
	}
	if r.event != nil {
		x.event = r.event.ID
	}
	return x
}

// body is the notice as it is sent: the members in the order of LinkedIn's
// samples, without blanks.
func (x notice) body(sw Switches) []byte {
	text := struct {
		Type       string            `json:"type"`
		Response   string            `json:"leadGenFormResponse"`
		Form       string            `json:"leadGenForm"`
		Owner      Owner             `json:"owner"`
		Entity     map[string]string `json:"associatedEntity,omitempty"`
		LeadType   string            `json:"leadType"`
		LeadAction string            `json:"leadAction"`
		OccurredAt int64             `json:"occurredAt"`
	}{
		Type: "LEAD_ACTION", Response: responsePrefix + x.lead, Form: versionedFormURN(x.form, x.version, sw.BlankInNotice),
		Owner: Owner{Organization: organizationURN(x.owner)}, LeadType: x.kind.String(), LeadAction: x.action, OccurredAt: x.occurred,
	}
	if x.event != 0 {
		text.Entity = map[string]string{"event": eventURN(x.event)}
	}
	if sw.OccurredInSeconds {
		text.OccurredAt /= 1000
	}
	return mustJSON(text)
}

const signaturePrefix = "hmacsha256="

// signature is the value of X-LI-Signature over a body. What is signed begins
// with the name of the procedure, which the header does not repeat.
func signature(secret, body string, sw Switches) string {
	signed, prefix := signaturePrefix+body, ""
	if sw.SignatureOfBody {
		signed = body
	}
	if sw.SignaturePrefixed {
		prefix = signaturePrefix
	}
	return prefix + keyedHash(secret, signed)
}

// keyedHash is the HMAC-SHA256 of text in lower-case hexadecimal.
func keyedHash(secret, text string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text)) // a hash never fails
	return hex.EncodeToString(h.Sum(nil))
}

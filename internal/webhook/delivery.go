package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"leadstream/internal/lead"
)

const (
	typeLeadAction  = "LEAD_ACTION"
	responseURN     = "urn:li:leadGenFormResponse:"
	organizationURN = "urn:li:organization:"
	// maxID bounds a response id; LinkedIn's are a UUID and a small number.
	maxID = 200
)

// errOther says that a delivery is about something else than a lead that came
// or went.
var errOther = errors.New("the delivery is about something else")

// wire is a delivery's body. Source: Lead Sync API, leadNotifications.
type wire struct {
	Type        string                     `json:"type"`
	Response    string                     `json:"leadGenFormResponse"`
	Form        string                     `json:"leadGenForm"`
	Owner       map[string]json.RawMessage `json:"owner"`
	LeadType    string                     `json:"leadType"`
	Action      lead.Action                `json:"leadAction"`
	OccurredRaw json.RawMessage            `json:"occurredAt"`
}

// read reads a genuine delivery. The error is errOther for what is none of our
// business, else it names the member that cannot be read and never quotes it.
func read(body []byte) (lead.Notification, error) {
	var w wire
	if err := json.Unmarshal(body, &w); err != nil {
		return lead.Notification{}, fmt.Errorf("it is not the JSON of a notification: %w", shape(err))
	}
	if w.Type != typeLeadAction || w.Action != lead.Created && w.Action != lead.Deleted {
		return lead.Notification{}, fmt.Errorf("%w: type %.40q, leadAction %.40q", errOther, w.Type, w.Action)
	}
	n := lead.Notification{Action: w.Action, ResponseID: strings.TrimPrefix(w.Response, responseURN)}
	if n.ResponseID == "" || len(n.ResponseID) > maxID || strings.HasPrefix(n.ResponseID, "urn:") {
		return lead.Notification{}, errors.New("leadGenFormResponse is not the URN of a response")
	}
	if n.Source = (lead.Source{Owner: owner(w.Owner), Type: w.LeadType}); n.Source.Owner == "" || n.Source.Type == "" {
		return lead.Notification{}, errors.New("owner or leadType is missing")
	}
	var err error
	if n.Form, err = lead.ParseFormURN(w.Form); err != nil {
		return lead.Notification{}, errors.New("leadGenForm is not the URN of a form")
	}
	if n.OccurredAt, err = occurred(w.OccurredRaw); err != nil {
		return lead.Notification{}, err
	}
	return n, nil
}

// shape is an error of encoding/json without what it quotes.
func shape(err error) error {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return fmt.Errorf("member %s is of another type", wrong.Field)
	}
	return errors.New("it ends early or is malformed")
}

// owner is the URN in the owner union, whichever member it uses.
func owner(union map[string]json.RawMessage) string {
	for _, member := range []string{"organization", "sponsoredAccount"} {
		var urn string
		if json.Unmarshal(union[member], &urn) == nil && strings.HasPrefix(urn, "urn:li:") {
			return urn
		}
	}
	return ""
}

// lastSecond is the largest number that is taken for seconds: in milliseconds it
// would be in 2001, before there was any such API. LinkedIn's unit is not
// documented.
const lastSecond = 1e12

// occurred reads a time in epoch milliseconds or seconds.
func occurred(raw json.RawMessage) (time.Time, error) {
	n, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil || n <= 0 || n > 1<<50 {
		return time.Time{}, errors.New("occurredAt is not a time in epoch milliseconds")
	}
	if n < lastSecond {
		n = n*1000 + 999
	}
	return lead.FromMillis(n), nil
}

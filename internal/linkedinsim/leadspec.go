package linkedinsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// LeadSpec says which leads to make. Everything is optional: the zero value is
// one lead of one of the events, submitted and visible now.
type LeadSpec struct {
	Count int `json:"count,omitempty"` // default 1
	// Form is the id or a URN of the form answered; a versioned URN or
	// FormVersion picks an older version. Default: the event's form.
	Form        string `json:"form,omitempty"`
	FormVersion int    `json:"formVersion,omitempty"`
	// Event is the id or URN of the event. Default: one that uses the form.
	Event string `json:"event,omitempty"`
	// Owner is the id or URN of an organization, to pick among its events.
	Owner string `json:"owner,omitempty"`
	// LeadType is EVENT (default), COMPANY or ORGANIZATION_PRODUCT.
	LeadType string `json:"leadType,omitempty"`
	// ID is the lead's id; an id that exists already is a member who registers
	// again. Default: a new one.
	ID string `json:"id,omitempty"`
	// SubmittedAt is when the member pressed submit; default now, less Age. Of
	// several leads all have the same time, or are Every apart, oldest first.
	SubmittedAt time.Time     `json:"submittedAt,omitzero"`
	Age         time.Duration `json:"age,omitempty"`
	Every       time.Duration `json:"every,omitempty"`
	// VisibleAfter is how long from now (from SubmittedAt, when that is later)
	// the lead does not appear in the API.
	VisibleAfter time.Duration `json:"visibleAfter,omitempty"`
	TestLead     bool          `json:"testLead,omitempty"`
	// Submitter is the URN of the member.
	Submitter string `json:"submitter,omitempty"`
	// Answers and Consents are given in this order; nil means made up.
	Answers  []Answer        `json:"answers,omitempty"`
	Consents []ConsentAnswer `json:"consents,omitempty"`
	// Malformed makes the element defective in one way.
	Malformed Malformation `json:"malformed,omitempty"`
}

// Answer is the answer to one question. It is a choice when Options is not nil,
// what Raw holds when Raw is not nil, else a text.
type Answer struct {
	QuestionID int64  `json:"questionId"`
	Text       string `json:"text,omitempty"`
	Options    []int  `json:"options,omitzero"`
	// OptionTexts are the options' texts in the version answered, in the form's
	// locale; an unknown option has none. Given by the ledger, ignored otherwise.
	OptionTexts []string `json:"optionTexts,omitempty"`
	// Raw is the answerDetails object as it is sent.
	Raw json.RawMessage `json:"raw,omitempty"`
}

// MarshalJSON writes the text of a text answer even when it is empty.
func (a Answer) MarshalJSON() ([]byte, error) {
	type plain Answer
	if a.Options != nil || a.Raw != nil || a.Text != "" {
		return json.Marshal(plain(a))
	}
	return json.Marshal(object{"questionId": a.QuestionID, "text": ""})
}

// ConsentAnswer says whether a consent was given.
type ConsentAnswer struct {
	ConsentID int  `json:"consentId"`
	Accepted  bool `json:"accepted"`
}

func (s LeadSpec) validate() error {
	if s.Count < 0 || s.Count > maxLeads {
		return fmt.Errorf("count is %d, must be between 1 and %d", s.Count, maxLeads)
	}
	if s.Malformed != "" && defectOf(s.Malformed) == nil {
		return fmt.Errorf("malformed is %q, must be one of %q", s.Malformed, slices.Concat(Malformations(), Contradictions()))
	}
	if s.VisibleAfter < 0 || s.Age < 0 || s.Every < 0 {
		return errors.New("visibleAfter, age and every must not be negative")
	}
	if k, ok := parseLeadType(s.LeadType); s.LeadType != "" && (!ok || k == kindSponsored) {
		return fmt.Errorf("leadType is %q, must be one of %q", s.LeadType, leadTypes[:kindSponsored])
	}
	for _, a := range s.Answers {
		if a.Raw != nil && !json.Valid(a.Raw) {
			return fmt.Errorf("the raw answer to question %d is not JSON", a.QuestionID)
		}
	}
	return nil
}

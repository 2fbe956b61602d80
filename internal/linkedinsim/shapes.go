package linkedinsim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Organization is a company page and the roles held on it.
type Organization struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	VanityName string `json:"vanityName,omitempty"`
	Roles      []Role `json:"roles"`
	// Brand makes it a showcase page: roles name it urn:li:organizationBrand:<ID>,
	// and nothing else can be asked of it.
	Brand bool `json:"brand,omitempty"`
}

// Role is one row of organizationAcls: one role of one member on one page.
type Role struct {
	Role         string `json:"role"`             // ADMINISTRATOR, CONTENT_ADMINISTRATOR, ANALYST, …
	State        string `json:"state,omitempty"`  // APPROVED (default), REJECTED, REQUESTED or REVOKED
	Member       string `json:"member,omitempty"` // id; empty means the one who consents
	Created      Stamp  `json:"created"`
	LastModified Stamp  `json:"lastModified"`
}

// Stamp says who did something and when; Time is in epoch milliseconds.
type Stamp struct {
	Actor        string `json:"actor"`
	Impersonator string `json:"impersonator,omitempty"`
	Time         int64  `json:"time"`
}

// Roles of Organization Access Control that matter here.
const (
	roleAdministrator        = "ADMINISTRATOR"
	roleContentAdministrator = "CONTENT_ADMINISTRATOR"
	stateApproved            = "APPROVED"
	stateRevoked             = "REVOKED"
)

var (
	// eventRoles may read events and event leads (Events API; Lead Sync API,
	// permissions by lead type).
	eventRoles = []string{roleAdministrator, roleContentAdministrator}
	// pageRoles may read the other page leads and the forms. LinkedIn does not
	// publish the list; these are the roles it accepts for sponsored leads.
	pageRoles = []string{roleAdministrator, roleContentAdministrator, "LEAD_GEN_FORMS_MANAGER", "CURATOR", "ANALYST"}
	// adminRoles may read the page itself and who holds roles on it.
	adminRoles = []string{roleAdministrator}
)

// leadRoles are those that may read leads of a type.
func leadRoles(k leadType) []string {
	if k == kindEvent {
		return eventRoles
	}
	return pageRoles
}

// URN is urn:li:organization:<ID>, or that of a showcase page.
func (o *Organization) URN() string {
	if o.Brand {
		return brandPrefix + strconv.FormatInt(o.ID, 10)
	}
	return organizationURN(o.ID)
}

// grants reports whether member holds an approved role out of roles. There may
// be no organization.
func (o *Organization) grants(member string, roles []string) bool {
	return o != nil && slices.ContainsFunc(o.Roles, func(r Role) bool {
		return r.Member == member && r.State == stateApproved && slices.Contains(roles, r.Role)
	})
}

// Event is a LinkedIn event in the shape of the Events API, which is also the
// shape that the control API takes.
type Event struct {
	ID          int64     `json:"id"`
	Name        Localized `json:"name"`
	Description struct {
		Localized object `json:"localized"`
	} `json:"description"`
	Organizer   string `json:"organizer"` // URN of an organization
	VanityName  string `json:"vanityName,omitempty"`
	StartsAt    int64  `json:"startsAt"`      // epoch milliseconds
	Type        object `json:"type"`          // online or inPerson, where and until when (endsAt, epoch milliseconds)
	Discovery   string `json:"discoveryMode"` // LISTED, URL_ONLY
	Entry       string `json:"entryCriteria"` // PUBLIC, GATED
	LeadGenForm string `json:"leadGenForm,omitempty"`
	Created     *Stamp `json:"created,omitempty"`
	Modified    *Stamp `json:"lastModified,omitempty"`
	Cancelled   bool   `json:"cancelled,omitempty"` // for the control API; LinkedIn does not print it

	form int64 // 0 for none
	org  *Organization
}

// URN is urn:li:event:<ID>.
func (e *Event) URN() string { return eventURN(e.ID) }

// endsAt is when the event ends, in epoch milliseconds.
func (e *Event) endsAt() int64 { return cmp.Or(endIn(e.Type), e.StartsAt) }

func endIn(place object) int64 {
	end, _ := place["endsAt"].(float64)
	for _, within := range place {
		if inner, ok := within.(object); ok && end == 0 {
			end = float64(endIn(inner))
		}
	}
	return int64(end)
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

// Form is one version of a lead form in the shape of the leadForms resource,
// which is also the shape that the control API takes.
type Form struct {
	ID             int64         `json:"id"`
	VersionID      int           `json:"versionId"`
	Owner          Owner         `json:"owner"`
	Name           string        `json:"name"`
	State          string        `json:"state"`
	Created        int64         `json:"created"`      // epoch milliseconds
	LastModified   int64         `json:"lastModified"` // epoch milliseconds
	CreationLocale Locale        `json:"creationLocale"`
	ReviewInfo     object        `json:"reviewInfo,omitempty"`
	HiddenFields   []HiddenField `json:"hiddenFields,omitempty"`
	Content        Content       `json:"content"`

	// Of a version in the world, which does not change:
	org  *Organization
	json []byte // of all above
}

// Owner is a union of the two kinds of owner.
type Owner struct {
	Organization     string `json:"organization,omitempty"`
	SponsoredAccount string `json:"sponsoredAccount,omitempty"`
}

// Locale is a country and a language.
type Locale struct {
	Country  string `json:"country"`
	Language string `json:"language"`
}

// Localized is a text per locale (en_US, …).
type Localized struct {
	Localized map[string]string `json:"localized"`
}

// HiddenField is a fixed value of a form.
type HiddenField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Content is what the member sees of a form.
type Content struct {
	Headline       Localized  `json:"headline"`
	Description    Localized  `json:"description"`
	Questions      []Question `json:"questions"`
	PostSubmission object     `json:"postSubmissionInfo,omitempty"`
	LegalInfo      *LegalInfo `json:"legalInfo,omitempty"`
}

// Question is one question of a form.
type Question struct {
	ID               int64           `json:"questionId"`
	Name             string          `json:"name"`
	Question         Localized       `json:"question"`
	PredefinedField  string          `json:"predefinedField,omitempty"`
	ResponseRequired bool            `json:"responseRequired"`
	ResponseEditable bool            `json:"responseEditable"`
	Details          QuestionDetails `json:"questionDetails"`

	printed [][]string // answers
}

// QuestionDetails is a union: exactly one member is set.
type QuestionDetails struct {
	Text   *TextDetails   `json:"textQuestionDetails,omitempty"`
	Choice *ChoiceDetails `json:"multipleChoiceQuestionDetails,omitempty"`
}

// TextDetails belong to a question that is answered by text.
type TextDetails struct {
	MaxResponseLength int `json:"maxResponseLength"`
}

// ChoiceDetails belong to a multiple choice question.
type ChoiceDetails struct {
	Options []Option `json:"options"`
}

// Option is one choice; ids start at 0.
type Option struct {
	ID   int       `json:"id"`
	Text Localized `json:"text"`
}

// LegalInfo is the legal part of a form.
type LegalInfo struct {
	ID               int64     `json:"legalInfoId"`
	PrivacyPolicyURL string    `json:"privacyPolicyUrl"`
	Disclaimer       Localized `json:"legalDisclaimer"`
	Consents         []struct {
		ID            int       `json:"id"`
		CheckRequired bool      `json:"checkRequired"`
		Consent       Localized `json:"consent"`
	} `json:"consents"`
}

var localeUS = Locale{Country: "US", Language: "en"}

func (l Locale) String() string { return l.Language + "_" + l.Country }

// text is the localized text in the locale, else in the first one by name.
func (l Localized) text(locale Locale) string {
	if t, ok := l.Localized[locale.String()]; ok || len(l.Localized) == 0 {
		return t
	}
	return l.Localized[slices.Min(slices.Collect(maps.Keys(l.Localized)))]
}

// URN names this version of the form.
func (f *Form) URN() string { return f.urn(false) }

// urn is the URN, with a blank as in webhook samples.
func (f *Form) urn(blank bool) string { return versionedFormURN(f.ID, f.VersionID, blank) }

// question is the question of that id, or nil.
func (f *Form) question(id int64) *Question {
	i := slices.IndexFunc(f.Content.Questions, func(q Question) bool { return q.ID == id })
	if i < 0 {
		return nil
	}
	return &f.Content.Questions[i]
}

// clone is a copy of f that shares nothing with it.
func (f *Form) clone() *Form {
	var copied Form
	_ = json.Unmarshal(mustJSON(f), &copied) // what was written can be read
	return &copied
}

// validate reports what LinkedIn would not have accepted as a form.
func (f *Form) validate() error {
	if f.ID <= 0 {
		return errors.New("a form needs a positive id")
	}
	if _, ok := parseURN(f.Owner.Organization, organizationPrefix); !ok {
		return fmt.Errorf("form %d: owner is %q, want the URN of an organization", f.ID, f.Owner.Organization)
	}
	if len(f.HiddenFields) > 20 {
		return fmt.Errorf("form %d has %d hidden fields, at most 20", f.ID, len(f.HiddenFields))
	}
	for i, q := range f.Content.Questions {
		if q.ID <= 0 || slices.ContainsFunc(f.Content.Questions[:i], func(other Question) bool { return other.ID == q.ID }) {
			return fmt.Errorf("form %d: question id %d is not positive or not unique", f.ID, q.ID)
		}
		if (q.Details.Text == nil) == (q.Details.Choice == nil) {
			return fmt.Errorf("form %d: question %d must be either text or multiple choice", f.ID, q.ID)
		}
	}
	return nil
}

// optionTexts are the texts of the options that the question has.
func (f *Form) optionTexts(question int64, options []int) (texts []string) {
	q := f.question(question)
	if q == nil || q.Details.Choice == nil {
		return nil
	}
	for _, id := range options {
		for _, o := range q.Details.Choice.Options {
			if o.ID == id {
				texts = append(texts, o.Text.text(f.CreationLocale))
			}
		}
	}
	return texts
}

package linkedinsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

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
	ReviewInfo     *ReviewInfo   `json:"reviewInfo,omitempty"`
	HiddenFields   []HiddenField `json:"hiddenFields,omitempty"`
	Content        Content       `json:"content"`
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

var localeUS = Locale{Country: "US", Language: "en"}

func (l Locale) String() string { return l.Language + "_" + l.Country }

// ReviewInfo is the state of LinkedIn's review of a form.
type ReviewInfo struct {
	ReviewStatus     string   `json:"reviewStatus"`
	RejectionReasons []string `json:"rejectionReasons"`
	LastUpdated      int64    `json:"lastUpdated"` // epoch milliseconds
}

// HiddenField is a fixed value of a form.
type HiddenField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Content is what the member sees of a form.
type Content struct {
	Headline       Localized       `json:"headline"`
	Description    Localized       `json:"description"`
	Questions      []Question      `json:"questions"`
	PostSubmission *PostSubmission `json:"postSubmissionInfo,omitempty"`
	LegalInfo      *LegalInfo      `json:"legalInfo,omitempty"`
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

// PostSubmission is what the member sees after submitting.
type PostSubmission struct {
	Message      Localized    `json:"message"`
	CallToAction CallToAction `json:"callToAction"`
}

// CallToAction is a button and where it leads.
type CallToAction struct {
	Label  string     `json:"callToActionLabel"`
	Target CallTarget `json:"callToActionTarget"`
}

// CallTarget is where a button leads.
type CallTarget struct {
	LandingPageURL string `json:"landingPageUrl"`
}

// LegalInfo is the legal part of a form.
type LegalInfo struct {
	ID               int64     `json:"legalInfoId"`
	PrivacyPolicyURL string    `json:"privacyPolicyUrl"`
	Disclaimer       Localized `json:"legalDisclaimer"`
	Consents         []Consent `json:"consents"`
}

// Consent is a check box of the legal part.
type Consent struct {
	ID            int       `json:"id"`
	CheckRequired bool      `json:"checkRequired"`
	Consent       Localized `json:"consent"`
}

// URN names this version of the form.
func (f *Form) URN() string { return versionedFormURN(f.ID, f.VersionID, false) }

// consents are the form's consents, if it has a legal part.
func (f *Form) consents() []Consent {
	if f.Content.LegalInfo == nil {
		return nil
	}
	return f.Content.LegalInfo.Consents
}

// question is the question of that id, or nil.
func (f *Form) question(id int64) *Question {
	i := slices.IndexFunc(f.Content.Questions, func(q Question) bool { return q.ID == id })
	if i < 0 {
		return nil
	}
	return &f.Content.Questions[i]
}

// clone is a copy of f that shares nothing with it.
func (f *Form) clone() (*Form, error) {
	text, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("copying form %d: %w", f.ID, err)
	}
	var copied Form
	if err := json.Unmarshal(text, &copied); err != nil {
		return nil, fmt.Errorf("copying form %d: %w", f.ID, err)
	}
	return &copied, nil
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
	seen := map[int64]bool{}
	for _, q := range f.Content.Questions {
		if q.ID <= 0 || seen[q.ID] {
			return fmt.Errorf("form %d: question id %d is not positive or not unique", f.ID, q.ID)
		}
		seen[q.ID] = true
		if (q.Details.Text == nil) == (q.Details.Choice == nil) {
			return fmt.Errorf("form %d: question %d must be either text or multiple choice", f.ID, q.ID)
		}
	}
	return nil
}

// text is the localized text in the locale, else in the first one by name.
func (l Localized) text(locale Locale) string {
	if t, ok := l.Localized[locale.String()]; ok {
		return t
	}
	if len(l.Localized) == 0 {
		return ""
	}
	return l.Localized[slices.Min(slices.Collect(maps.Keys(l.Localized)))]
}

// optionTexts are the texts of the options that the question has.
func (f *Form) optionTexts(question int64, options []int) []string {
	q := f.question(question)
	if q == nil || q.Details.Choice == nil {
		return nil
	}
	var texts []string
	for _, id := range options {
		for _, o := range q.Details.Choice.Options {
			if o.ID == id {
				texts = append(texts, o.Text.text(f.CreationLocale))
			}
		}
	}
	return texts
}

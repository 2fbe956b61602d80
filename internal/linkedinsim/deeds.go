package linkedinsim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// FormChange says how a form changes; the result is its next version.
type FormChange struct {
	// What is add_question (default), remove_question, rename_question,
	// change_options or change_type.
	What string `json:"what,omitempty"`
	// Question is the id of the question meant; default the last one that fits.
	Question int64 `json:"question,omitempty"`
	// Text is the text of a new or renamed question.
	Text string `json:"text,omitempty"`
	// Options are the texts of the options, of a new multiple choice question or
	// of one whose options change; ids count from 0.
	Options []string `json:"options,omitempty"`
	// Predefined is the predefinedField of a new question.
	Predefined string `json:"predefinedField,omitempty"`
}

// deedPossible reports what is missing for a deed, before it is scheduled.
func (s *Server) deedPossible(f Fault) error {
	needs := func(missing bool, what string) error {
		if missing {
			return fmt.Errorf("fault %s needs %s", f.Kind, what)
		}
		return nil
	}
	switch f.Kind {
	case LoseRole, GrantRole:
		return needs(f.Owner == "", "owner")
	case ChangeForm, RefuseForm, RestoreForm:
		return needs(f.Form == "", "form")
	case DeleteLeads:
		return needs(f.ID == "" && f.Owner == "", "id or owner")
	case RetireVersion, ActivateVersion:
		return needs(!versionFormat.MatchString(f.Version), "version (YYYYMM)")
	case ShiftClock:
		return needs(f.Shift == 0, "shift")
	case ChangeSecret:
		return needs(f.Secret == "", "secret")
	default:
		return nil
	}
}

// do carries out a deed.
func (s *Server) do(f Fault) error {
	owner, _ := reference(f.Owner, organizationPrefix) // was validated
	switch f.Kind {
	case ExpireToken:
		s.ExpireTokens()
	case RevokeToken:
		s.RevokeTokens()
	case ExpireRefreshToken:
		s.ExpireRefreshTokens()
	case RevokeRefreshToken:
		s.RevokeRefreshTokens()
	case LoseRole:
		return s.SetRole(owner, "")
	case GrantRole:
		if f.Role == "" {
			f.Role = roleAdministrator
		}
		return s.SetRole(owner, f.Role)
	case ChangeForm, RefuseForm, RestoreForm:
		return s.doForm(f)
	case DeleteLeads:
		if f.ID == "" {
			s.DeleteNewest(owner, orDefault(f.Number, 1))
		} else if !s.DeleteLead(f.ID) {
			return fmt.Errorf("there is no lead %q", f.ID)
		}
	case AddLeads:
		spec := LeadSpec{}
		if f.Leads != nil {
			spec = *f.Leads
		}
		_, err := s.AddLeads(spec)
		return err
	case RetireVersion, ActivateVersion:
		return s.SetVersion(f.Version, f.Kind == ActivateVersion)
	case ShiftClock:
		s.ShiftClock(f.Shift, f.KeepTokens)
	case ChangeSecret:
		s.SetClientSecret(f.Secret)
	default:
		return fmt.Errorf("fault %s is not a deed", f.Kind)
	}
	return nil
}

func (s *Server) doForm(f Fault) error {
	id, ok := reference(f.Form, formPrefix)
	if !ok {
		return fmt.Errorf("form %q is neither an id nor a URN", f.Form)
	}
	switch f.Kind {
	case RefuseForm:
		return s.RefuseForm(id, orDefault(f.Status, http.StatusNotFound))
	case RestoreForm:
		return s.RefuseForm(id, 0)
	default: // ChangeForm
		change := FormChange{}
		if f.Change != nil {
			change = *f.Change
		}
		_, err := s.ReviseForm(id, change.apply)
		return err
	}
}

// apply changes a form.
func (c FormChange) apply(f *Form) error {
	if c.What == "" || c.What == "add_question" {
		f.Content.Questions = append(f.Content.Questions, c.newQuestion(f))
		return nil
	}
	q, err := c.meant(f)
	if err != nil {
		return err
	}
	switch c.What {
	case "remove_question":
		f.Content.Questions = slices.DeleteFunc(f.Content.Questions, func(x Question) bool { return x.ID == q.ID })
	case "rename_question":
		q.Question = localized(f, orText(c.Text, "Renamed question"))
	case "change_options":
		q.Details.Choice.Options = c.options(f)
	case "change_type":
		if q.Details.Choice != nil {
			q.Details = QuestionDetails{Text: &TextDetails{MaxResponseLength: 300}}
		} else {
			q.Details = QuestionDetails{Choice: &ChoiceDetails{Options: c.options(f)}}
		}
	default:
		return fmt.Errorf("change %q is none that is known", c.What)
	}
	return nil
}

// meant is the question to change: the one named, else the last custom one that
// the change can be made to.
func (c FormChange) meant(f *Form) (*Question, error) {
	if c.Question != 0 {
		if q := f.question(c.Question); q != nil && (c.What != "change_options" || q.Details.Choice != nil) {
			return q, nil
		}
		return nil, fmt.Errorf("form %d has no question %d of that kind", f.ID, c.Question)
	}
	for i := range slices.Backward(f.Content.Questions) {
		q := &f.Content.Questions[i]
		if q.PredefinedField == "" && (c.What != "change_options" || q.Details.Choice != nil) {
			return q, nil
		}
	}
	return nil, errors.New("no custom question fits the change")
}

func (c FormChange) newQuestion(f *Form) Question {
	// A removed question's id does not come back: later versions count higher.
	id := int64(600000 + f.VersionID*100)
	for f.question(id) != nil {
		id++
	}
	q := Question{
		ID: id, Name: fmt.Sprintf("Custom question %d", len(f.Content.Questions)),
		Question: localized(f, orText(c.Text, "Added question")), PredefinedField: c.Predefined, ResponseEditable: true,
	}
	if c.Options != nil {
		q.Details.Choice = &ChoiceDetails{Options: c.options(f)}
	} else {
		q.Details.Text = &TextDetails{MaxResponseLength: 300}
	}
	return q
}

func (c FormChange) options(f *Form) []Option {
	texts := c.Options
	if texts == nil {
		texts = []string{"Changed option A", "Changed option B", "Changed option C"}
	}
	options := make([]Option, len(texts))
	for i, t := range texts {
		options[i] = Option{ID: i, Text: localized(f, t)}
	}
	return options
}

func localized(f *Form, text string) Localized {
	return Localized{Localized: map[string]string{f.CreationLocale.String(): text}}
}

func orText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

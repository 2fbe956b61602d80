package linkedinsim

import (
	"cmp"
	"errors"
	"fmt"
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

// apply changes a form.
func (c FormChange) apply(f *Form) error {
	if c.What == "" || c.What == "add_question" {
		f.Content.Questions = append(f.Content.Questions, c.newQuestion(f))
		return nil
	}
	i, err := c.meant(f)
	if err != nil {
		return err
	}
	q := &f.Content.Questions[i]
	switch {
	case c.What == "remove_question":
		f.Content.Questions = slices.Delete(f.Content.Questions, i, i+1)
	case c.What == "rename_question":
		q.Question = f.localized(cmp.Or(c.Text, "Renamed question"))
	case c.What == "change_options":
		q.Details.Choice.Options = c.options(f)
	case c.What == "change_type" && q.Details.Choice != nil:
		q.Details = textDetails()
	case c.What == "change_type":
		q.Details = QuestionDetails{Choice: &ChoiceDetails{Options: c.options(f)}}
	default:
		return fmt.Errorf("change %q is none that is known", c.What)
	}
	return nil
}

// meant is the place of the question to change: the one named, else the last
// custom one that the change can be made to.
func (c FormChange) meant(f *Form) (int, error) {
	for i, q := range slices.Backward(f.Content.Questions) {
		named := q.ID == c.Question || c.Question == 0 && q.PredefinedField == ""
		if named && (c.What != "change_options" || q.Details.Choice != nil) {
			return i, nil
		}
	}
	if c.Question != 0 {
		return 0, fmt.Errorf("form %d has no question %d of that kind", f.ID, c.Question)
	}
	return 0, errors.New("no custom question fits the change")
}

func (c FormChange) newQuestion(f *Form) Question {
	// A removed question's id does not come back: later versions count higher.
	id := int64(600000 + f.VersionID*100)
	for f.question(id) != nil {
		id++
	}
	q := Question{
		ID: id, Name: fmt.Sprintf("Custom question %d", len(f.Content.Questions)), Details: textDetails(),
		Question: f.localized(cmp.Or(c.Text, "Added question")), PredefinedField: c.Predefined, ResponseEditable: true,
	}
	if c.Options != nil {
		q.Details = QuestionDetails{Choice: &ChoiceDetails{Options: c.options(f)}}
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
		options[i] = Option{ID: i, Text: f.localized(t)}
	}
	return options
}

// localized is a text in the form's own language.
func (f *Form) localized(text string) Localized {
	return Localized{Localized: map[string]string{f.CreationLocale.String(): text}}
}

func textDetails() QuestionDetails {
	return QuestionDetails{Text: &TextDetails{MaxResponseLength: 300}}
}

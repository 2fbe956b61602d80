package linkedinsim

import (
	"iter"
	"strconv"
	"strings"
)

// answers are those of row n: given with the lead or made up.
func (w *World) answers(n uint32) []Answer {
	if given := w.rows[n].extra.Answers; given != nil {
		return given
	}
	return w.rows[n].version.makeAnswers(n, w.hash(n))
}

// answered are the questions that a row of hash h answers, each with a random
// number; not in their order, as on LinkedIn.
func (f *Form) answered(h uint64) iter.Seq2[*Question, uint64] {
	questions := f.Content.Questions
	return func(yield func(*Question, uint64) bool) {
		for i := range questions {
			q := &questions[(i+int(h%uint64(len(questions))))%len(questions)]
			r := mix(h + uint64(q.ID))
			if skipped := !q.ResponseRequired && r>>56 < 12; !skipped && !yield(q, r) {
				return
			}
		}
	}
}

// chosen reports whether r chooses the option at place j: one of them surely,
// the others rarely.
func (q *Question) chosen(j int, r uint64) bool {
	return j == int(r%uint64(len(q.Details.Choice.Options))) || (r>>8>>(uint(j)%48))&7 == 0
}

// makeAnswers makes up the answers of row n, whose hash is h.
func (f *Form) makeAnswers(n uint32, h uint64) []Answer {
	answers := []Answer{}
	for q, r := range f.answered(h) {
		a := Answer{QuestionID: q.ID}
		if q.Details.Choice == nil {
			a.Text = strings.Replace(q.samples()[r%uint64(len(q.samples()))], "#", leadNumber(n), 1)
		} else {
			a.Options = []int{}
			for j, o := range q.Details.Choice.Options {
				if q.chosen(j, r) {
					a.Options = append(a.Options, o.ID)
				}
			}
		}
		answers = append(answers, a)
	}
	return answers
}

// print prints the answers to a question beforehand, in the parts between which
// the lead's number or the options stand.
func (q *Question) print() {
	if q.Details.Choice != nil {
		q.printed = [][]string{strings.Split(string(mustJSON(Answer{QuestionID: q.ID, Options: []int{}}.wire())), "[]")}
		return
	}
	for _, text := range q.samples() {
		q.printed = append(q.printed, strings.Split(string(mustJSON(Answer{QuestionID: q.ID, Text: text}.wire())), "#"))
	}
}

// appendMade appends what makeAnswers makes, as leadFormResponses gives it, from
// what is printed: it is most of a page.
func (f *Form) appendMade(dst []byte, n uint32, h uint64) []byte {
	start, number := len(dst), leadNumber(n)
	for q, r := range f.answered(h) {
		parts := q.printed[r%uint64(len(q.printed))]
		dst = append(comma(dst, start), parts[0]...)
		if len(parts) == 1 {
			continue
		}
		if q.Details.Choice == nil {
			dst = append(dst, number...)
		} else {
			dst = append(dst, '[')
			first := len(dst)
			for j, o := range q.Details.Choice.Options {
				if q.chosen(j, r) {
					dst = strconv.AppendInt(comma(dst, first), int64(o.ID), 10)
				}
			}
			dst = append(dst, ']')
		}
		dst = append(dst, parts[1]...)
	}
	return dst
}

// consents are those of row n: given with the lead or made up.
func (w *World) consents(n uint32) []ConsentAnswer {
	if given := w.rows[n].extra.Consents; given != nil {
		return given
	}
	legal, consents := w.rows[n].version.Content.LegalInfo, []ConsentAnswer{}
	if legal == nil {
		return consents
	}
	for i, c := range legal.Consents {
		consents = append(consents, ConsentAnswer{c.ID, c.CheckRequired || w.hash(n)>>(uint(i)%60)&1 == 1})
	}
	return consents
}

// samples are the texts with which the question is answered.
func (q *Question) samples() []string {
	if pool, known := samples[q.PredefinedField]; known {
		return pool
	}
	return samples[""]
}

// leadNumber is the number of row n from 1, six digits at least.
func leadNumber(n uint32) string {
	if n < 999_999 {
		return strconv.Itoa(1_000_001 + int(n))[1:]
	}
	return strconv.Itoa(int(n) + 1)
}

// samples are synthetic answers by predefined field, "" for all others; # stands
// for the lead's number. Accents, other scripts, emoji, quotes, line breaks and
// the empty text are what readers stumble over.
var samples = map[string][]string{
	"": {
		"How to keep order across partitions", "Exactly-once, please 🚀", "Schöne Grüße aus Köln",
		"数据流处理", "Что нового в этом году?", `Quotes " and \ backslashes`, "Two\nlines\tand a tab",
		"", "👩‍💻 from zero to production", "كيف أبدأ؟", "naïve café – déjà vu", "none",
	},
	"FIRST_NAME":            {"Lead"},
	"LAST_NAME":             {"#"},
	"EMAIL":                 {"lead.#@example.com"},
	"WORK_EMAIL":            {"lead.#@example.com"},
	"PHONE_NUMBER":          {"+1 555 0100 #"},
	"WORK_PHONE_NUMBER":     {"+1 555 0100 #"},
	"LINKEDIN_PROFILE_LINK": {"https://www.linkedin.example/in/lead-#"},
	"COMPANY_NAME":          {"Example GmbH", "Muster & Söhne AG", "例示株式会社", "Example 🎪 Circus Ltd", "O'Example Inc."},
	"JOB_TITLE":             {"Data Engineer", "Head of Platform", "Développeuse", "Student", "C*O"},
	"JOB_FUNCTION":          {"Engineering", "Operations", "Marketing"},
	"SENIORITY":             {"Senior", "Entry", "Director"},
	"INDUSTRY":              {"Software Development", "Retail", "Énergie"},
	"COUNTRY":               {"Germany", "Česko", "日本", "Brazil"},
	"CITY":                  {"Köln", "São Paulo", "Reykjavík"},
	"COMPANY_SIZE":          {"1-10", "11-50", "10,001+"},
}

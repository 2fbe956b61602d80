package schema

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"
)

// Codec encodes the leads of one form with one registered schema. It is safe
// for concurrent use and does not follow later changes of the Fields it was
// compiled from.
type Codec struct {
	form    string
	choice  Choice
	header  [5]byte
	columns []plan
	hidden  []int // the columns of hidden fields
	// questions and consents lead from LinkedIn's numbers, in their order, to
	// columns. Lists and not maps: there may be a thousand codecs, most of them idle.
	questions []question
	consents  []numberedColumn
	known     versions
	scratch   sync.Pool
}

// plan is how one column is written.
type plan struct {
	name     string
	kind     kind
	versions versions
	editions []edition
}

// question holds the columns of one question, -1 where there is none.
type question struct {
	id           int64
	text, choice int
	latest       int // of the two, the one that a higher form version has
}

// numberedColumn is the column of a consent.
type numberedColumn struct {
	id int64
	at int
}

func (q question) compare(id int64) int       { return cmp.Compare(q.id, id) }
func (n numberedColumn) compare(id int64) int { return cmp.Compare(n.id, id) }

// question finds the columns of a question.
func (c *Codec) question(id int64) (question, bool) {
	at, ok := slices.BinarySearchFunc(c.questions, id, question.compare)
	if !ok {
		return question{}, false
	}
	return c.questions[at], true
}

// consent finds the column of a consent.
func (c *Codec) consent(id int64) (at int, ok bool) {
	i, ok := slices.BinarySearchFunc(c.consents, id, numberedColumn.compare)
	if !ok {
		return 0, false
	}
	return c.consents[i].at, true
}

// Schema is what the codec encodes with: the id that values name, and how many columns
// it has (Fields.Len).
func (c *Codec) Schema() (id, columns int) {
	return int(binary.BigEndian.Uint32(c.header[1:])), len(fixed) + len(c.columns)
}

// Compile prepares the encoder for leads of the form. The id must be the one
// under which f.Schema(), as it is now, was registered: records written under
// the id of an earlier schema could not be decoded. It fails when the schema would not be valid Avro, which
// says that the memory it came from is damaged.
func Compile(f *Fields, id int) (*Codec, error) {
	if id < 0 || id > math.MaxInt32 {
		return nil, fmt.Errorf("compiling the schema of form %.30q: no registry gives the id %d", f.form, id)
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("compiling the schema of form %.30q: %w", f.form, err)
	}
	c := &Codec{form: f.form, choice: f.choice, known: f.versions, columns: make([]plan, 0, len(f.columns))}
	binary.BigEndian.PutUint32(c.header[1:], uint32(id))
	c.scratch.New = func() any { return newScratch(len(c.columns)) }
	for i, col := range f.columns {
		c.columns = append(c.columns, plan{name: col.Name, kind: col.Kind, versions: col.Versions, editions: col.Editions})
		switch col.Kind {
		case kindConsent:
			at, _ := slices.BinarySearchFunc(c.consents, col.ID, numberedColumn.compare)
			c.consents = slices.Insert(c.consents, at, numberedColumn{col.ID, i})
		case kindText, kindChoice:
			c.index(i, col)
		case kindHidden:
			c.hidden = append(c.hidden, i)
		}
	}
	c.questions, c.consents, c.hidden = slices.Clip(c.questions), slices.Clip(c.consents), slices.Clip(c.hidden)
	return c, nil
}

// index enters column i for its question.
func (c *Codec) index(i int, col *column) {
	at, ok := slices.BinarySearchFunc(c.questions, col.ID, question.compare)
	if !ok {
		c.questions = slices.Insert(c.questions, at, question{id: col.ID, text: -1, choice: -1, latest: i})
	}
	q := &c.questions[at]
	if col.Versions.max() > c.columns[q.latest].versions.max() {
		q.latest = i
	}
	if col.Kind == kindChoice {
		q.choice = i
	} else {
		q.text = i
	}
}

// asked is the column of the question as a form version had it, for an answer
// that does not say what kind it is.
func (c *Codec) asked(q question, version int) int {
	for _, i := range []int{q.text, q.choice} {
		if i >= 0 && i != q.latest && c.columns[i].versions.has(version) && !c.columns[q.latest].versions.has(version) {
			return i
		}
	}
	return q.latest
}

// at is what the column's field holds in a form version.
func (p *plan) at(version int) (edition, bool) {
	for i := range p.editions {
		if p.editions[i].Versions.has(version) {
			return p.editions[i], true
		}
	}
	return edition{}, false
}

// textOf is the text of an option. Ids count from 0, so that most stand at
// their own index.
func (o options) textOf(id int64) (string, bool) {
	if id >= 0 && id < int64(len(o)) && o[id].ID == id {
		return o[id].Text, true
	}
	if at, found := o.find(id); found {
		return o[at].Text, true
	}
	return "", false
}

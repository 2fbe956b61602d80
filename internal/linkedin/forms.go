package linkedin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

const formsPath = "/rest/leadForms"

// Forms are the current versions of all forms of an owner. A form that cannot be
// read, or has no id, is left out, with a warning in the log.
func (c *Client) Forms(ctx context.Context, owner string) ([]lead.Form, error) {
	params := []param{{"q", text("owner")}, {"owner", record{{ownerUnion(owner), text(owner)}}}}
	forms, err := collect(ctx, c, request{endpoint: EndpointForms, path: formsPath, params: params}, func(r *reader) found[lead.Form] {
		f, problem := decodeForm(r)
		row := found[lead.Form]{row: f, id: f.ID, problem: problem, foreign: f.Owner != "" && f.Owner != owner}
		for i := range f.Questions {
			row.size += partBytes * (1 + len(f.Questions[i].Options))
		}
		row.size += partBytes * (len(f.Consents) + len(f.Hidden) + len(f.Faults))
		return row
	})
	if err != nil {
		return nil, fmt.Errorf("listing the forms of %s: %w", owner, err)
	}
	return forms, nil
}

// Form is the current version of a form. One that was deleted, or is not ours to
// read, is an *APIError of kind Suspend; its Refusal says which of the two.
func (c *Client) Form(ctx context.Context, id string) (lead.Form, error) {
	var f lead.Form
	err := c.do(ctx, request{endpoint: EndpointForms, path: formsPath + "/" + encodeKey(id)}, func(body []byte) (string, error) {
		r := newReader(body)
		if problem, err := r.object(); problem != "" {
			return problem, err
		}
		var problem string
		if f, problem = decodeForm(r); problem == "" && f.ID != id {
			problem = "it is not the form asked for"
		}
		return problem, nil
	})
	if err != nil {
		return lead.Form{}, fmt.Errorf("reading form %s: %w", id, err)
	}
	return f, nil
}

// answeredForm is the projection that has LinkedIn inline the form in a response.
const answeredForm = mask("versionedLeadGenFormUrn,form:(id,versionId,owner,name,state,creationLocale,hiddenFields,content)")

// FormVersion is the version of a form that a response answered. LinkedIn does
// not document how to read an older version: it is asked for with the response,
// then for the form as it is now. What comes back says by its own Version which
// one it is; when that is not the one asked for, it is the nearest that LinkedIn
// still shows.
//
// A form inlined without its versionId is taken for the version that was
// answered when it differs from the current one; when it does not, nothing tells
// the two apart, and it is given as the current one.
func (c *Client) FormVersion(ctx context.Context, ref lead.FormRef, responseID string) (lead.Form, error) {
	inlined, err := c.inlinedForm(ctx, ref, responseID)
	if err != nil {
		return lead.Form{}, fmt.Errorf("reading form %s with response %s: %w", ref, responseID, err)
	}
	if inlined != nil && inlined.Version == ref.Version && ref.Version != 0 {
		return *inlined, nil
	}
	current, err := c.Form(ctx, ref.ID)
	switch {
	case inlined == nil:
		return current, err
	case fault.RefusalOf(err) == fault.Gone: // only the response still shows it
		if inlined.Version == 0 {
			inlined.Version = ref.Version
		}
		return *inlined, nil
	case err != nil:
		return lead.Form{}, err
	case ref.Version == 0 || current.Version == ref.Version || sameContent(*inlined, current):
		return current, nil
	case inlined.Version == 0:
		inlined.Version = ref.Version
	}
	return *inlined, nil
}

// inlinedForm reads the form that LinkedIn inlines in the response; nil when it
// does not, which is no error.
func (c *Client) inlinedForm(ctx context.Context, ref lead.FormRef, responseID string) (*lead.Form, error) {
	if responseID == "" {
		return nil, nil
	}
	q := responseRequest(responseID)
	q.params = []param{{"fields", answeredForm}}
	var found *lead.Form
	err := c.do(ctx, q, func(body []byte) (string, error) {
		found = nil
		r := newReader(body)
		if problem, err := r.object(); problem != "" {
			return problem, err
		}
		for r.open(jsontext.KindBeginObject); r.more(); {
			if r.name() != "form" || r.kind() != jsontext.KindBeginObject {
				r.skip()
				continue
			}
			if f, problem := decodeForm(r); problem == "" && f.ID == ref.ID {
				found = &f
			}
		}
		return "", nil
	})
	// The response is gone, which for a deleted one may be a 403 as well, or the
	// projection is not taken: the form itself is asked for then.
	if e := (*APIError)(nil); errors.As(err, &e) && fault.KindOf(err) == fault.Suspend &&
		(e.Refusal() != fault.Wrong || e.Status == http.StatusBadRequest) {
		return nil, nil
	}
	return found, err
}

// sameContent reports whether two versions ask the same.
func sameContent(a, b lead.Form) bool {
	return a.Name == b.Name && reflect.DeepEqual(a.Questions, b.Questions) &&
		reflect.DeepEqual(a.Consents, b.Consents) && reflect.DeepEqual(a.Hidden, b.Hidden)
}

// found is a row of a finder.
type found[T any] struct {
	row T
	id  string // what makes it the same row; empty where it has none
	// problem says why the row is of no use; empty when it is.
	problem string
	// foreign: it belongs to somebody else than was asked for.
	foreign bool
	size    int // about what it takes in bytes
}

const (
	// partBytes is about what a part of a form takes beside its texts.
	partBytes = 100
	// mostListed bounds what the rows of a whole list take: a few thousand forms.
	mostListed = 32 << 20
)

// collect reads all rows of a finder; of several with one id the last one read
// counts. A row that is of no use is left out, with a warning. Where all of them
// are somebody else's, LinkedIn has not heeded what was asked for, and the list says
// nothing.
func collect[T any](ctx context.Context, c *Client, q request, read func(r *reader) found[T]) ([]T, error) {
	var rows []T
	var foreign, size int
	at := map[string]int{}
	s := scan[found[T]]{
		endpoint: q.endpoint,
		fetch: func(ctx context.Context, start, count int) (*page[found[T]], error) {
			asked := q
			asked.params = append(append([]param{}, q.params...),
				param{"start", number(int64(start))}, param{"count", number(int64(count))})
			p := &page[found[T]]{}
			err := c.do(ctx, asked, func(body []byte) (string, error) {
				*p = page[found[T]]{start: start, asked: count}
				r := newReader(body)
				r.own = true
				return decodePage(r, p, func(r *reader) (found[T], uint64) {
					start := r.start()
					row := read(r)
					row.size += len(r.since(start))
					return row, rowKey(row.id)
				})
			})
			return p, err
		},
		give: func(start, _ int, page []found[T]) error {
			if start == 0 {
				foreign, size = 0, 0
			}
			for _, e := range page {
				if size += e.size; size > mostListed {
					return &AnswerError{Endpoint: q.endpoint, Status: http.StatusOK, Problem: fmt.Sprintf("its list takes more than %d bytes", mostListed)}
				}
				i, again := at[e.id]
				switch {
				case e.foreign:
					foreign++
				case e.problem != "":
					c.log.Warn("element left out", zap.String("endpoint", q.endpoint), zap.String("id", e.id), zap.String("problem", e.problem),
						zap.String("todo", "see this element on LinkedIn; what needs it waits"))
				case e.id == "":
					c.log.Warn("element without identity left out", zap.String("endpoint", q.endpoint),
						zap.String("todo", "nothing, unless something is missing on the status page: then report it"))
				case again:
					rows[i] = e.row
				default:
					at[e.id] = len(rows)
					rows = append(rows, e.row)
				}
			}
			return nil
		},
	}
	err := s.run(ctx, c)
	switch {
	case err != nil:
		return nil, err
	case foreign > 0 && len(rows) == 0:
		return nil, &AnswerError{Endpoint: q.endpoint, Status: http.StatusOK,
			Problem: fmt.Sprintf("all of its %d elements belong to others than was asked for", foreign)}
	case foreign > 0:
		c.log.Warn("elements that belong to others than was asked for are left out", zap.String("endpoint", q.endpoint), zap.Int("elements", foreign),
			zap.String("todo", "nothing, unless something is missing on the status page: then report it"))
	}
	return rows, nil
}

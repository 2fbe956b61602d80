package webhook

import (
	"sync"
	"time"
)

// Issue is why notifications that LinkedIn signed are thrown away.
type Issue struct {
	Reason string // without what a notification holds
	Todo   string // what to do
}

// issueLife is how long after the last notification that was thrown away that
// is told, when none comes that is taken: some installations get one a day.
const issueLife = 24 * time.Hour

// fate is what became of the last notification that LinkedIn signed. Strangers do
// not change it. Safe for concurrent use.
type fate struct {
	now func() time.Time

	mu    sync.Mutex
	issue Issue // zero when it was taken
	at    time.Time
}

// thrown notes that a notification was thrown away.
func (f *fate) thrown(t Issue) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.issue, f.at = t, f.now()
}

// taken notes that a notification was taken, and reports whether that is news.
func (f *fate) taken() (news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	news = f.issue != Issue{}
	f.issue = Issue{}
	return news
}

func (f *fate) is() (Issue, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if (f.issue == Issue{}) || f.now().Sub(f.at) > issueLife {
		return Issue{}, false
	}
	return f.issue, true
}

// Issue is why the last notification that LinkedIn signed was thrown away; false
// when it was taken, or when none came.
func (r *Receiver) Issue() (Issue, bool) { return r.fate.is() }

package linkedinsim

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Subscription is one registration for notifications as leadNotifications shows
// it: of all leads of an owner and type, or only those of an event or of one
// version of a form.
type Subscription struct {
	ID               int64       `json:"id"`
	Webhook          string      `json:"webhook"`
	Owner            Owner       `json:"owner"`
	LeadType         string      `json:"leadType"`
	AssociatedEntity *LeadEntity `json:"associatedEntity,omitempty"`
	VersionedForm    string      `json:"versionedForm,omitempty"`
}

// LeadEntity is what a lead belongs to, a union of which only the event exists
// here.
type LeadEntity struct {
	Event string `json:"event"`
}

// subscription is a Subscription read, and who made it.
type subscription struct {
	Subscription
	owner   int64
	kind    leadType
	event   int64 // 0 for any
	form    int64 // 0 for any
	version int
	member  string
}

// wants reports whether the subscription is one for such a notice.
func (u *subscription) wants(x notice) bool {
	return u.owner == x.owner && u.kind == x.kind && (u.event == 0 || u.event == x.event) &&
		(u.form == 0 || u.form == x.form && u.version == x.version)
}

const (
	firstSubscription = 7012001
	maxSubscriptions  = 1500 // of one owner
)

// subscribe keeps a subscription and gives it its id; false means that its
// owner has as many as LinkedIn allows. Unless it has just been made, the
// handshake with its webhook is due.
func (n *notifier) subscribe(u *subscription, validated bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	own := 0
	for _, other := range n.subscriptions {
		if other.owner == u.owner {
			own++
		}
	}
	if own >= maxSubscriptions {
		return false
	}
	u.ID = firstSubscription + n.subscribed
	n.subscribed++
	n.subscriptions = append(n.subscriptions, u)
	n.listened.Store(true)
	if h := n.hook(u.Webhook); !validated {
		h.due = n.s.Now()
	}
	n.stir()
	return true
}

// subscription is the one of an id; nil when there is none.
func (n *notifier) subscription(id int64) *subscription {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, u := range n.subscriptions {
		if u.ID == id {
			return u
		}
	}
	return nil
}

// registered is how many subscriptions there are.
func (n *notifier) registered() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.subscriptions)
}

// subscriptionsTo are those of an owner and type, oldest first.
func (n *notifier) subscriptionsTo(owner int64, kind leadType) []Subscription {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []Subscription
	for _, u := range n.subscriptions {
		if u.owner == owner && u.kind == kind {
			found = append(found, u.Subscription)
		}
	}
	return found
}

// unsubscribe forgets the subscriptions that match, and reports whether there
// was one.
func (n *notifier) unsubscribe(match func(*subscription) bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := len(n.subscriptions)
	n.subscriptions = slices.DeleteFunc(n.subscriptions, match)
	n.listened.Store(len(n.subscriptions) > 0)
	for _, h := range n.hooks {
		n.release(h) // nobody may be left to make the handshake for
	}
	return len(n.subscriptions) < before
}

// roleChanged drops what a member may no longer read, where the switch says so.
// It is called with World.mu held.
func (n *notifier) roleChanged(o *Organization) {
	if n == nil || !n.s.Switches().WebhookDiesWithRole {
		return
	}
	n.unsubscribe(func(u *subscription) bool { return u.owner == o.ID && !o.grants(u.member, leadRoles(u.kind)) })
}

// tunnels are hosts that LinkedIn refuses: they end at somebody's desk.
var tunnels = []string{"ngrok.io", "ngrok.app", "ngrok.dev", "ngrok-free.app", "ngrok-free.dev"}

// webhookAllowed reports whether LinkedIn takes a webhook: an HTTPS URL of a
// public host, without credentials. With local, any http or https URL will do.
func webhookAllowed(text string, local bool) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Contains(text, "#") {
		return false
	}
	if local {
		return u.Scheme == "https" || u.Scheme == "http"
	}
	host := strings.ToLower(u.Hostname())
	tunnel := slices.ContainsFunc(tunnels, func(t string) bool { return host == t || strings.HasSuffix(host, "."+t) })
	addr, err := netip.ParseAddr(host)
	private := host == "localhost" || err == nil && (!addr.IsGlobalUnicast() || addr.IsPrivate())
	return u.Scheme == "https" && !tunnel && !private
}

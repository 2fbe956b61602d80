package kafka

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/describegroups"
	"github.com/segmentio/kafka-go/protocol/heartbeat"
	"github.com/segmentio/kafka-go/protocol/leavegroup"
	"go.uber.org/zap"

	"leadstream/internal/fault"
)

const (
	defaultSession   = 6 * time.Second
	defaultHeartbeat = 500 * time.Millisecond
	groupTimeout     = 3 * time.Second // one request to the coordinator
	// leaveWithin bounds how long the end of a member waits for kafka-go to
	// leave the group before its connections are cut.
	leaveWithin = 2 * time.Second
	// silentAfter is how many failures in a row it takes to speak of an
	// unreachable group: one or two are normal while a coordinator moves.
	silentAfter = 3
)

// GroupConfig says which group shares out which work.
type GroupConfig struct {
	ID    string
	Topic string // exists; whoever holds its partitions is active
	// Session: a member that was not heard of for as long is replaced. Default
	// 6 s, the least that brokers allow by default.
	Session time.Duration
	// Heartbeat: how often a member is heard of and learns of changes. Default 500 ms.
	Heartbeat time.Duration
	// OnState is called with true before work begins and with false after it
	// has returned; from one goroutine at a time. May be nil.
	OnState func(active bool)
	// StandbyNote is what to say when this member first has to stand by; may be
	// empty.
	StandbyNote string
	// OnReach is called with the reason when the group cannot be reached, and with
	// nil once it can again; the log is then told by whoever it belongs to. When nil
	// the member tells it.
	OnReach func(error)
	Log     *zap.Logger
}

// stopped makes the end of ctx a clean one, except for what must not be missed.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && fault.KindOf(err) != fault.Fatal {
		return nil
	}
	return err
}

// GroupMembers is how many members a group has; 0 also for a group that does
// not exist.
func (a *Admin) GroupMembers(ctx context.Context, group string) (int, error) {
	members := 0
	op := "describing group " + group
	err := a.retry(ctx, op, func(ctx context.Context) error {
		msg, err := a.askCoordinator(ctx, coordinatorKey{id: group}, &describegroups.Request{Groups: []string{group}},
			func(m protocol.Message) Code { return describedCode(m.(*describegroups.Response)) })
		if err != nil {
			return err
		}
		res := msg.(*describegroups.Response)
		switch code := describedCode(res); code {
		case 0:
			members = len(res.Groups[0].Members)
		case codeGroupNotFound:
			members = 0
		case codeGroupAuthorization:
			return &AuthorizationError{Resource: "group", Name: group, Operation: "Describe"}
		default:
			return &codeError{op: op, code: code}
		}
		return nil
	})
	return members, err
}

func describedCode(res *describegroups.Response) Code {
	if len(res.Groups) != 1 {
		return codeGroupNotFound
	}
	return Code(res.Groups[0].ErrorCode)
}

// stillMember asks the coordinator whether a member still belongs to a generation;
// kafka-go's own heartbeats do not say when one succeeded.
func (n *network) stillMember(ctx context.Context, gen *kafkago.Generation) bool {
	msg, err := n.askCoordinator(ctx, coordinatorKey{id: gen.GroupID}, &heartbeat.Request{
		GroupID: gen.GroupID, GenerationID: gen.ID, MemberID: gen.MemberID,
	}, heartbeatCode)
	return err == nil && heartbeatCode(msg) == 0
}

// heartbeatCode is the code of a heartbeat's answer. kafka-go v0.4.51 takes the error
// code of Heartbeat and LeaveGroup for the first half of the throttle time, which
// stands before it, so that it is always 0: the code is what is left of its
// throttle time. Source: Apache Kafka protocol guide, Heartbeat v1, LeaveGroup v1.
func heartbeatCode(m protocol.Message) Code {
	return Code(int16(m.(*heartbeat.Response).ThrottleTimeMs))
}

// leaveGroup tells the coordinator that a member is gone. kafka-go tries once, and
// not at all when its join was cut off or when it is closed while it has an
// error to report. A member that the coordinator does not know is gone too.
func (n *network) leaveGroup(ctx context.Context, group, member string) error {
	leftCode := func(m protocol.Message) Code { return Code(int16(m.(*leavegroup.Response).ThrottleTimeMS)) } // as in heartbeatCode
	msg, err := n.askCoordinator(ctx, coordinatorKey{id: group}, &leavegroup.Request{
		GroupID: group, MemberID: member, Members: []leavegroup.RequestMember{{MemberID: member}},
	}, leftCode)
	if err != nil {
		return err
	}
	if code := leftCode(msg); code.retriable() {
		return &codeError{op: "leaving group " + group, code: code}
	}
	return nil
}

// groupConns are the connections that kafka-go's group opened. It can not be
// told to hurry: a join under way is cut off by closing them.
type groupConns struct {
	mu   sync.Mutex
	open []net.Conn
	cut  bool
}

// dialer gives the group connections that are encrypted, logged in and guarded like
// all others: kafka-go's own would believe whatever a broker answers to it.
func (g *groupConns) dialer(like *dialer) *kafkago.Dialer {
	return &kafkago.Dialer{ClientID: like.clientID, Timeout: dialTimeout, DialFunc: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := like.connect(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		tracked, err := g.track(conn)
		if err != nil {
			return nil, err
		}
		ready, err := like.prepare(ctx, tracked, addr)
		if err != nil {
			_ = tracked.Close() // the first error is the one to report
			return nil, err
		}
		return ready.guard, nil
	}}
}

func (g *groupConns) track(conn net.Conn) (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cut {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	tracked := &groupConn{Conn: conn, of: g}
	g.open = append(g.open, tracked)
	return tracked, nil
}

func (g *groupConns) close() {
	g.mu.Lock()
	g.cut = true
	open := slices.Clone(g.open)
	g.mu.Unlock()
	for _, conn := range open {
		_ = conn.Close()
	}
}

type groupConn struct {
	net.Conn
	of *groupConns
}

func (c *groupConn) Close() error {
	c.of.mu.Lock()
	c.of.open = slices.DeleteFunc(c.of.open, func(o net.Conn) bool { return o == net.Conn(c) })
	c.of.mu.Unlock()
	return c.Conn.Close()
}

package kafka

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"leadstream/internal/fault"
)

// TestNoAnswerThatTimeDoesNotFixIsWaitedForAsIfItDid: every code of the protocol either
// may pass, and is asked again, or waits for a person who is told, or ends the program.
func TestNoAnswerThatTimeDoesNotFixIsWaitedForAsIfItDid(t *testing.T) {
	for code := Code(-1); code < 140; code++ {
		if code == 0 {
			continue
		}
		kind := fault.KindOf(settled("asking", &codeError{op: "asking", code: code}))
		switch want := fault.Pause; {
		case code.retriable(), code == codeUnknownServerError:
			if kind != fault.Retry {
				t.Errorf("%v is of kind %v, want that it is asked again", code, kind)
			}
		case code == codeInvalidTxnTimeout:
			if kind != fault.Fatal {
				t.Errorf("%v is of kind %v, want fatal", code, kind)
			}
		case kind != want:
			t.Errorf("%v is of kind %v, want %v", code, kind, want)
		}
	}
}

// TestATopicThatRefusesToBeReadKeepsNoOtherWaiting: the error is that topic's.
func TestATopicThatRefusesToBeReadKeepsNoOtherWaiting(t *testing.T) {
	for kind, ask := range map[protocol.ApiKey]func(*Client) error{
		protocol.Fetch: func(c *Client) error {
			return c.Reader.Read(t.Context(), "a", From{}, func(*Record) error { return nil })
		},
		protocol.ListOffsets: func(c *Client) error { _, err := c.Reader.Offsets(t.Context(), "a"); return err },
		protocol.DescribeConfigs: func(c *Client) error {
			_, err := c.Admin.DescribeTopics(t.Context(), []string{"a"}, "retention.ms")
			return err
		},
	} {
		c, f := fake(t)
		create(t, c, 1, "a")
		if err := c.Append(t.Context(), message("a", "1")); err != nil {
			t.Fatal(err)
		}
		refuse(f, kind, codeInvalidRequest)
		refused, ok := errors.AsType[*TopicError](ask(c))
		if !ok || refused.Topic != "a" || refused.Code != codeInvalidRequest || fault.KindOf(refused) != fault.Suspend {
			t.Errorf("%s: %v, want that the topic refuses", kind, refused)
		}
	}
}

// TestACodeThatDoesNotPassSaysWhatToLookAt when it has been asked again in vain.
func TestACodeThatDoesNotPassSaysWhatToLookAt(t *testing.T) {
	for code, want := range map[Code]string{codeNoCoordinator: "__transaction_state", codeNotEnoughReplicas: "min.insync.replicas"} {
		err := settled("asking", &codeError{op: "asking", code: code})
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", code, err, want)
		}
	}
}

// TestWhatIsNoBrokerIsToldAlsoWhereOthersAreAway: it is likelier what a person has to
// fix.
func TestWhatIsNoBrokerIsToldAlsoWhereOthersAreAway(t *testing.T) {
	closed := listen(t, func(net.Conn) {})
	closed.Close()
	address := greeter(t, "HTTP/1.1 400 Bad Request\r\n\r\n")
	for _, brokers := range [][]string{{address, closed.Addr().String()}, {closed.Addr().String(), address}} {
		if err := connect(t, Config{Brokers: brokers}).Ping(t.Context()); !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "speaks HTTP") {
			t.Errorf("Ping of %v = %v, want that %s speaks HTTP", brokers, err, address)
		}
	}
}

// TestAGroupThatDoesNotTakeUsSaysWhyAndWhatToDo, as an error, and is tried again.
func TestAGroupThatDoesNotTakeUsSaysWhyAndWhatToDo(t *testing.T) {
	for code, want := range map[kafkago.Error]string{
		kafkago.InconsistentGroupProtocol: "another program", kafkago.InvalidSessionTimeout: "group.min.session.timeout.ms",
		kafkago.InvalidGroupId: "another name", kafkago.GroupMaxSizeReached: "group.max.size",
	} {
		c, f := fake(t)
		create(t, c, 1, "work")
		log, logs := observed()
		left := 4
		f.ControlKey(int16(protocol.JoinGroup), func(req kmsg.Request) (kmsg.Response, error, bool) {
			f.KeepControl()
			if left--; left < 0 {
				return nil, nil, false
			}
			res := req.ResponseKind().(*kmsg.JoinGroupResponse)
			res.ErrorCode = int16(code)
			return res, nil, true
		})
		err := c.Member(GroupConfig{ID: "group", Topic: "work", Heartbeat: 20 * time.Millisecond, Log: log}, func(context.Context) error { return nil }).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		said := logs.FilterLevelExact(zap.ErrorLevel).All()
		if len(said) != 1 || !strings.Contains(said[0].ContextMap()["todo"].(string), want) {
			t.Errorf("%v: said %v, want once what to do: %q", code, said, want)
		}
	}
}

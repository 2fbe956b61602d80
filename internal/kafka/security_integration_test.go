//go:build integration

package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol/createacls"

	"leadstream/internal/fault"
	"leadstream/internal/realstack"
)

// authority issues the certificates of one test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.issue("ca", true)
	return a
}

// issue writes NAME.crt, NAME.key and NAME.pem (both), and returns the latter.
func (a *authority) issue(name string, isCA bool) string {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: isCA,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"broker.example"},
	}
	if isCA {
		a.cert, a.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	for suffix, content := range map[string][]byte{".crt": certPEM, ".key": keyPEM, ".pem": append(keyPEM, certPEM...)} {
		if err := os.WriteFile(a.file(name+suffix), content, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return a.file(name + ".pem")
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// secured is a broker with a listener of each kind and permissions. bob may
// everything, alice nothing.
func secured(t *testing.T, a *authority) *realstack.Kafka {
	const (
		plain = `org.apache.kafka.common.security.plain.PlainLoginModule required user_bob="bob-secret" user_alice="alice-secret";`
		scram = `org.apache.kafka.common.security.scram.ScramLoginModule required;`
	)
	p := map[string]string{
		"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		"ssl.keystore.type":       "PEM", "ssl.keystore.location": a.issue("broker", false),
		"ssl.truststore.type": "PEM", "ssl.truststore.location": a.file("ca.crt"),
		"listener.name.mtls.ssl.client.auth": "required",
		"authorizer.class.name":              "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                        "User:ANONYMOUS;User:bob;User:CN=client",
	}
	for _, listener := range []string{"sasl", "sasltls"} {
		p["listener.name."+listener+".plain.sasl.jaas.config"] = plain
		p["listener.name."+listener+".scram-sha-256.sasl.jaas.config"] = scram
		p["listener.name."+listener+".scram-sha-512.sasl.jaas.config"] = scram
	}
	users := map[string]string{"bob": "bob-secret"}
	return own(t, realstack.KafkaOptions{
		Properties: p,
		Listeners:  map[string]string{"SASL": "SASL_PLAINTEXT", "SASLTLS": "SASL_SSL", "MTLS": "SSL"},
		SCRAM:      map[string]map[string]string{"SCRAM-SHA-256": users, "SCRAM-SHA-512": users},
	})
}

// TestRealSecurity: each kind of listener carries a whole transaction and a
// membership; each wrong setting is named by its type, without a secret.
func TestRealSecurity(t *testing.T) {
	a := newAuthority(t)
	a.issue("client", false)
	stranger := newAuthority(t)
	stranger.issue("client", false)
	k := secured(t, a)
	at := func(listener string, tls *TLS, sasl *SASL) Config {
		return Config{Brokers: []string{k.Addr(listener)}, TLS: tls, SASL: sasl}
	}
	trust := &TLS{CAFile: a.file("ca.crt")}
	client := &TLS{CAFile: a.file("ca.crt"), CertFile: a.file("client.crt"), KeyFile: a.file("client.key")}

	good := map[string]Config{
		"plain":                at(realstack.PLAINTEXT, nil, nil),
		"SASL PLAIN":           at("SASL", nil, &SASL{"PLAIN", "bob", "bob-secret"}),
		"SASL SCRAM 256":       at("SASL", nil, &SASL{"SCRAM-SHA-256", "bob", "bob-secret"}),
		"TLS and SCRAM 512":    at("SASLTLS", trust, &SASL{"SCRAM-SHA-512", "bob", "bob-secret"}),
		"TLS with certificate": at("MTLS", client, nil),
		"TLS with server name": at("SASLTLS", &TLS{CAFile: a.file("ca.crt"), ServerName: "broker.example"}, &SASL{"PLAIN", "bob", "bob-secret"}),
	}
	for what, cfg := range good {
		t.Run(what, func(t *testing.T) {
			c := connect(t, cfg)
			topic := name(t, "a")
			create(t, c, 1, topic)
			commit(t, producer(t, c, topic), message(topic, "1"))
			eventuallyValues(t, c, topic, 1)
			if err := c.Member(GroupConfig{ID: topic, Topic: topic}, workNothing).Run(t.Context()); err != nil {
				t.Errorf("Member.Run = %v", err)
			}
		})
	}
	bad := map[string]struct {
		cfg  Config
		want string
		kind fault.Kind
	}{
		"wrong password":       {at("SASL", nil, &SASL{"PLAIN", "bob", "guess-secret"}), "check the user name and password", fault.Pause},
		"wrong SCRAM password": {at("SASL", nil, &SASL{"SCRAM-SHA-512", "bob", "guess-secret"}), "check the user name and password", fault.Pause},
		"unknown user":         {at("SASL", nil, &SASL{"PLAIN", "nobody", "guess-secret"}), "check the user name and password", fault.Pause},
		"no SASL":              {at("SASL", nil, nil), "kafka.sasl", fault.Retry},
		"TLS to a plain port":  {at(realstack.PLAINTEXT, trust, nil), "kafka.tls", fault.Retry},
		"plain to a TLS port":  {at("MTLS", nil, nil), "kafka.tls", fault.Retry},
		"no certificate":       {at("MTLS", trust, nil), "does not accept our certificate, or asks for one", fault.Pause},
		"stranger's certificate": {at("MTLS", &TLS{CAFile: a.file("ca.crt"), CertFile: stranger.file("client.crt"), KeyFile: stranger.file("client.key")}, nil),
			"does not accept our certificate", fault.Pause},
		"stranger's broker":   {at("MTLS", &TLS{CAFile: stranger.file("ca.crt")}, nil), "the issuer of the broker's certificate", fault.Pause},
		"another server name": {at("SASLTLS", &TLS{CAFile: a.file("ca.crt"), ServerName: "else.example"}, nil), "server name", fault.Pause},
	}
	for what, tt := range bad {
		t.Run(what, func(t *testing.T) {
			start := time.Now()
			err := connect(t, tt.cfg).Ping(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || fault.KindOf(err) != tt.kind {
				t.Errorf("Ping = %v (%v), want %q (%v)", err, fault.KindOf(err), tt.want, tt.kind)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error holds a password: %v", err)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	t.Run("permissions", func(t *testing.T) { permissions(t, k) })
}

// permissions gives alice one permission after another and sees which one is
// named as missing next.
func permissions(t *testing.T, k *realstack.Kafka) {
	admin := connect(t, Config{Brokers: []string{k.Addr(realstack.PLAINTEXT)}})
	create(t, admin, 1, "leads")
	commit(t, producer(t, admin, "admin"), message("leads", "1"))
	c := connect(t, Config{Brokers: []string{k.Addr("SASL")}, SASL: &SASL{"PLAIN", "alice", "alice-secret"}})
	p := c.NewProducer("tx", 15*time.Second)
	ignore := func(*Record) error { return nil }
	write := func() error { _, err := p.Commit(t.Context(), []Message{message("leads", "2")}); return err }
	steps := []struct {
		do   func() error
		want AuthorizationError
	}{
		{func() error { return p.Init(t.Context()) }, AuthorizationError{"transactional-id", "tx", "Describe"}},
		{func() error { return p.Init(t.Context()) }, AuthorizationError{"transactional-id", "tx", "Write"}},
		{func() error {
			results, err := c.Admin.CreateTopics(t.Context(), []TopicSpec{{Name: "new", Partitions: 1}})
			return errors.Join(err, results["new"])
		}, AuthorizationError{"topic", "new", "Create"}},
		{write, AuthorizationError{"topic", "leads", "Describe"}},
		{write, AuthorizationError{"topic", "leads", "Write"}},
		{func() error { return c.Reader.Read(t.Context(), "leads", From{}, ignore) }, AuthorizationError{"topic", "leads", "Read"}},
		{func() error {
			_, err := c.Admin.DescribeTopics(t.Context(), []string{"leads"}, "retention.ms")
			return err
		},
			AuthorizationError{"topic", "leads", "DescribeConfigs"}},
		{func() error { _, err := c.Admin.GroupMembers(t.Context(), "group"); return err }, AuthorizationError{"group", "group", "Describe"}},
		{func() error { return c.Member(GroupConfig{ID: "group", Topic: "leads"}, workNothing).Run(t.Context()) },
			AuthorizationError{"group", "group", "Read"}},
		{func() error { return c.Admin.DeleteTopics(t.Context(), []string{"leads"}) }, AuthorizationError{"topic", "leads", "Delete"}},
	}
	for _, s := range steps {
		err := s.do()
		got, ok := errors.AsType[*AuthorizationError](err)
		if !ok || *got != s.want {
			t.Fatalf("%v, want that %+v is missing", err, s.want)
		}
		if kind := fault.KindOf(err); (kind == fault.Suspend) != (s.want.Resource == "topic") || kind == fault.Retry {
			t.Errorf("kind of %v = %v", err, kind)
		}
		resource, operation := aclCodes(s.want)
		allow(t, admin, "alice", resource, s.want.Name, operation)
		if s.want.Operation == "Delete" {
			continue // the others are still to be tried
		}
		eventually(t, "the permission", func() bool {
			again, same := errors.AsType[*AuthorizationError](s.do())
			return !same || *again != s.want
		})
	}
	commit(t, p, message("leads", "2"))
	eventually(t, "both records", func() bool { return len(values(t, c, "leads", From{})) >= 2 })
	if err := c.Member(GroupConfig{ID: "group", Topic: "leads"}, workNothing).Run(t.Context()); err != nil {
		t.Errorf("Member.Run with all permissions = %v", err)
	}
}

// aclCodes are the numbers of a permission. Source: Apache Kafka, AclOperation
// and ResourceType.
func aclCodes(e AuthorizationError) (resource, operation int8) {
	return map[string]int8{"topic": 2, "group": 3, "transactional-id": 5}[e.Resource],
		map[string]int8{"Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Describe": 8, "DescribeConfigs": 10}[e.Operation]
}

func allow(t *testing.T, admin *Client, user string, resource int8, name string, operation int8) {
	t.Helper()
	msg, err := admin.askController(t.Context(), &createacls.Request{Creations: []createacls.RequestACLs{{
		ResourceType: resource, ResourceName: name, ResourcePatternType: 3, Principal: "User:" + user, Host: "*",
		Operation: operation, PermissionType: 3,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range msg.(*createacls.Response).Results {
		if r.ErrorCode != 0 {
			t.Fatalf("allowing %d on %s: %v", operation, name, Code(r.ErrorCode))
		}
	}
}

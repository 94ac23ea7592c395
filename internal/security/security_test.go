package security

import (
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestPrincipalsAreReadAsSuperUsersWritesThem(t *testing.T) {
	got, err := ParsePrincipals("User:alice; User:CN=a,OU=b:c ;;Role:ops;")
	if err != nil {
		t.Fatal(err)
	}
	want := []Principal{User("alice"), User("CN=a,OU=b:c"), {Type: "Role", Name: "ops"}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for _, bad := range []string{"alice", ":alice", "User:a;bob"} {
		if _, err := ParsePrincipals(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if Anonymous().String() != "User:ANONYMOUS" {
		t.Error(Anonymous())
	}
}

// oneTopic allows exactly READ and DESCRIBE on topic "open", and counts its calls.
type oneTopic struct{ calls *int }

func (o oneTopic) Authorize(_ RequestContext, actions []Action) []bool {
	*o.calls++
	verdicts := make([]bool, len(actions))
	for i, a := range actions {
		verdicts[i] = a.ResourceType == ResourceTopic && a.ResourceName == "open" &&
			(a.Operation == OperationRead || a.Operation == OperationDescribe)
	}
	return verdicts
}

func (o oneTopic) AuthorizeByResourceType(_ RequestContext, op Operation, t ResourceType) bool {
	return t == ResourceTopic && op == OperationRead
}

func TestWithoutAnAuthorizerEverythingIsAllowed(t *testing.T) {
	ctx := RequestContext{Principal: Anonymous()}
	verdicts := AllowAll{}.Authorize(ctx, []Action{OnCluster(OperationAlter), On(OperationWrite, ResourceTopic, "t")})
	if !reflect.DeepEqual(verdicts, []bool{true, true}) {
		t.Fatal(verdicts)
	}
	// The values that a describe request of a topic, a group and the cluster shows on an open Kafka.
	for typ, want := range map[ResourceType]int32{ResourceTopic: 3576, ResourceGroup: 3400, ResourceCluster: 8096} {
		if got := AuthorizedOperations(AllowAll{}, ctx, typ, "x"); got != want {
			t.Errorf("%v: %d, want %d", typ, got, want)
		}
	}
}

func TestSuperUsersPassAndOthersAreAsked(t *testing.T) {
	calls := 0
	a := WithSuperUsers(oneTopic{&calls}, []Principal{User("root")})
	alter := OnCluster(OperationAlter)
	if !Allowed(a, RequestContext{Principal: User("root")}, alter) || calls != 0 {
		t.Fatal("a super user was asked")
	}
	if Allowed(a, RequestContext{Principal: User("eve")}, alter) || calls != 1 {
		t.Fatal("somebody else was let through")
	}
	if !a.AuthorizeByResourceType(RequestContext{Principal: User("root")}, OperationWrite, ResourceTopic) ||
		a.AuthorizeByResourceType(RequestContext{Principal: User("eve")}, OperationWrite, ResourceTopic) {
		t.Fatal("AuthorizeByResourceType does not look at super.users")
	}
	if _, plain := WithSuperUsers(AllowAll{}, nil).(AllowAll); !plain {
		t.Fatal("no super users needs no wrapper")
	}
}

func TestFilterKeepsOrderAndAsksOnce(t *testing.T) {
	calls := 0
	names := []string{"a", "open", "b", "open"}
	got := Filter(oneTopic{&calls}, RequestContext{}, OperationDescribe, ResourceTopic, names, func(s string) string { return s })
	if !reflect.DeepEqual(got, []string{"open", "open"}) || calls != 1 {
		t.Fatalf("%v after %d calls", got, calls)
	}
	if got := AuthorizedOperations(oneTopic{&calls}, RequestContext{}, ResourceTopic, "open"); got != 1<<OperationRead|1<<OperationDescribe {
		t.Fatal(got)
	}
}

func TestPlaintextConnectionsAreAnonymousAndRefuseSasl(t *testing.T) {
	auth, err := NewListenerAuth(Plaintext)
	if err != nil {
		t.Fatal(err)
	}
	a := auth.Authenticator(Peer{Listener: "PLAINTEXT"})
	s, ok := a.Session()
	if !ok || s.Principal != Anonymous() || !s.ExpiresAt.IsZero() {
		t.Fatal(s, ok)
	}
	resp, err := a.Step(kmsg.NewPtrSASLHandshakeRequest(), time.Time{})
	if err != nil || resp.(*kmsg.SASLHandshakeResponse).ErrorCode != illegalSaslState {
		t.Fatal(resp, err)
	}
	resp, err = a.Step(kmsg.NewPtrSASLAuthenticateRequest(), time.Time{})
	if err != nil || resp.(*kmsg.SASLAuthenticateResponse).ErrorCode != illegalSaslState {
		t.Fatal(resp, err)
	}
	if _, err := a.Step(kmsg.NewPtrMetadataRequest(), time.Time{}); err == nil {
		t.Fatal("Metadata took part in authentication")
	}
	for _, p := range []Protocol{SSL, SASLPlaintext, SASLSSL, "HTTP"} {
		if _, err := NewListenerAuth(p); err == nil {
			t.Errorf("%s is not served but was accepted", p)
		}
	}
}

func TestWordsHaveKafkasNames(t *testing.T) {
	if OperationTwoPhaseCommit.String() != "TWO_PHASE_COMMIT" || ResourceUser.String() != "USER" ||
		PatternPrefixed.String() != "PREFIXED" || Operation(99).String() != "UNKNOWN(99)" {
		t.Fatal("names")
	}
}

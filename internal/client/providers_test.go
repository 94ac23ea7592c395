package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigProvidersFillInValues(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"secrets.properties": "user=\\u0061lice\n", "id": "from-a-file"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("MOLDAU_TEST_TIMEOUT", "4000")
	const class = "org.apache.kafka.common.config.provider."
	all := Properties{
		"config.providers":                            "f, d,e,narrow",
		"config.providers.f.class":                    class + "FileConfigProvider",
		"config.providers.d.class":                    class + "DirectoryConfigProvider",
		"config.providers.e.class":                    class + "EnvVarConfigProvider",
		"config.providers.narrow.class":               class + "FileConfigProvider",
		"config.providers.narrow.param.allowed.paths": "/no/such",
	}
	for value, want := range map[string]string{
		"${f:DIR/secrets.properties:user}":         "alice",
		"a-${d:DIR:id}-b-${e:MOLDAU_TEST_TIMEOUT}": "a-from-a-file-b-4000",
		"${f:DIR/secrets.properties:none}":         "${f:DIR/secrets.properties:none}",
		"${d:DIR:../id}":                           "${d:DIR:../id}",
		"${e:MOLDAU_TEST_UNSET}":                   "${e:MOLDAU_TEST_UNSET}",
		"${narrow:DIR/secrets.properties:user}":    "${narrow:DIR/secrets.properties:user}",
		"${other:x}":                               "${other:x}",
	} {
		p := all.Clone()
		p["client.id"] = strings.ReplaceAll(value, "DIR", dir)
		s, err := ReadSettings(Admin, p)
		if err != nil {
			t.Fatal(err)
		}
		if want = strings.ReplaceAll(want, "DIR", dir); s.ClientID != want || len(s.Remarks) > 0 {
			t.Errorf("%s is %q, wanted %q; remarks %q", value, s.ClientID, want, s.Remarks)
		}
	}
	p := all.Clone()
	p["client.id"] = "${f:/no/such/file:x}"
	if _, err := ReadSettings(Admin, p); err == nil || err.Error() != "Could not read properties from file /no/such/file" {
		t.Error(err)
	}
	p["config.providers.e.class"] = "com.example.Vault"
	if _, err := ReadSettings(Admin, p); err == nil || !strings.HasPrefix(err.Error(), "Invalid value com.example.Vault for configuration config.providers.e.class: ") {
		t.Error(err)
	}
}

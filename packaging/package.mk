# Building and installing. The package is what `make install` installs, and no second list of files.

PREFIX ?= /usr/local
# Where vigie looks for its configuration.
SYSCONFDIR := /etc
DESTDIR ?=
VERSION ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
# amd64, or arm64 where the toolchain has the target (rustup target add aarch64-unknown-linux-musl).
ARCH ?= $(shell packaging/static --arch)
# Whom the package names. Nobody reads this one: give yours before you hand a package on.
MAINTAINER ?= vigie maintainers <maintainers@vigie.invalid>
# The program that install installs; `make deb` gives its own.
BINARY ?= target/release/vigie

.PHONY: deb static e2e install uninstall

# Further releases that `make e2e` boots, as far as they can be had: Ubuntu 20.04, 22.04 and 24.04, Debian 11 and 13.
RELEASES ?= focal jammy noble bullseye trixie
MIRROR ?=

deb: ## Build the Debian package, target/deb/vigie_VERSION_ARCH.deb
	@MAINTAINER="$(MAINTAINER)" packaging/deb "$(VERSION)" "$(ARCH)"

static: ## Build the program that needs no library, target/static/ARCH/vigie
	@packaging/static "$(ARCH)"

e2e: deb ## The shipped program's whole life under systemd, on this system and on RELEASES (takes root)
	@tests/setup
	VIGIE_BINARY="$(CURDIR)/target/static/$(ARCH)/vigie" $(CARGO) test --locked --test e2e -- --nocapture
	@for release in $(RELEASES); do echo "== $$release"; \
	  root=$(CURDIR)/target/e2e/$$release; \
	  [ -e "$$root/etc/debian_version" ] || tests/e2e/release "$$release" "$$root" "$(MIRROR)" || { echo "skipped: $$release"; continue; }; \
	  VIGIE_E2E_ROOT=$$root VIGIE_BINARY="$(CURDIR)/target/static/$(ARCH)/vigie" \
	    $(CARGO) test --locked --test e2e -- --nocapture || exit 1; \
	done

# The user is made as the package's postinst makes it.
install: $(BINARY) ## Install below PREFIX (/usr/local), for those without dpkg; DESTDIR= to stage
	install -D -m 755 "$(BINARY)" "$(DESTDIR)$(PREFIX)/bin/vigie"
	for unit in vigie.service vigie.socket drop-ins/process-details.conf drop-ins/icmp.conf drop-ins/docker.conf; do \
	  case $$unit in drop-ins/*) to=share/vigie/$$unit ;; *) to=lib/systemd/system/$$unit ;; esac; \
	  install -D -m 644 "systemd/$$unit" "$(DESTDIR)$(PREFIX)/$$to" && \
	  sed -i -e 's,/usr/bin/vigie,$(PREFIX)/bin/vigie,; s,/usr/share/vigie,$(PREFIX)/share/vigie,' "$(DESTDIR)$(PREFIX)/$$to" || exit 1; \
	done
	install -D -m 644 systemd/vigie.sysusers "$(DESTDIR)$(PREFIX)/lib/sysusers.d/vigie.conf"
	[ -n "$(DESTDIR)" ] || ! command -v systemd-sysusers >/dev/null || \
	  SYSTEMD_NSS_DYNAMIC_BYPASS=1 systemd-sysusers "$(PREFIX)/lib/sysusers.d/vigie.conf" || true
	install -d -m 755 "$(DESTDIR)$(PREFIX)/share/man/man1"
	gzip -9n <packaging/vigie.1 >"$(DESTDIR)$(PREFIX)/share/man/man1/vigie.1.gz"
	chmod 644 "$(DESTDIR)$(PREFIX)/share/man/man1/vigie.1.gz"
	install -D -m 644 packaging/completions/vigie.bash "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/vigie"
	install -D -m 644 packaging/completions/_vigie "$(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_vigie"
	install -D -m 644 packaging/completions/vigie.fish "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/vigie.fish"
	[ -e "$(DESTDIR)$(SYSCONFDIR)/vigie/config.toml" ] || \
	  install -D -m 644 config.example.toml "$(DESTDIR)$(SYSCONFDIR)/vigie/config.toml"

uninstall: ## Remove what install installed; the configuration, the state and its user stay
	rm -f "$(DESTDIR)$(PREFIX)/bin/vigie" "$(DESTDIR)$(PREFIX)/lib/sysusers.d/vigie.conf" \
	  "$(DESTDIR)$(PREFIX)/lib/systemd/system/vigie.service" "$(DESTDIR)$(PREFIX)/lib/systemd/system/vigie.socket" \
	  "$(DESTDIR)$(PREFIX)/share/man/man1/vigie.1.gz" \
	  "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/vigie" \
	  "$(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_vigie" \
	  "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/vigie.fish"
	rm -rf "$(DESTDIR)$(PREFIX)/share/vigie"

target/release/vigie:
	$(CARGO) build --release --locked

# Everything a person types. Each target installs the Debian packages that it lacks, and says so.

CC ?= cc
CFLAGS = -std=c11 -O2 -Wall -Wextra -Werror -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
PROGRAMS = .build/release
# One configuration and one set of flags for everything; colours are flags too, and would make a build at a terminal differ from one in a pipe.
SWIFT_BUILD = swift build -c release --no-color-diagnostics
# Found here by the linker in place of the shared C++ library.
ARCHIVES = .build/archives/libstdc++.so
LSPAWN = $(PROGRAMS)/martlet-lspawn

QMAILHOME ?= /var/qmail
DESTDIR ?=

.PHONY: build run test golden bench lint install packages torture

build: packages $(ARCHIVES)
	$(SWIFT_BUILD)
	@$(MAKE) --no-print-directory $(LSPAWN)

packages:
	@Tools/need g++ libc6-dev libunbound-dev libsqlite3-dev libpam0g-dev dns-root-data

$(ARCHIVES):
	@mkdir -p $(@D)
	@ln -sfn "$$($(CXX) -print-file-name=libstdc++.a)" $@

# The one program that stays root on a privileged installation: C, so that nothing of a language runtime runs as root.
$(LSPAWN): $(wildcard Sources/Commands/martlet-lspawn/*.[ch])
	$(CC) $(CFLAGS) -pie -Wl,-z,relro,-z,now -o $@ $(filter %.c,$^)

# Starts a mail system in ./var, or $$QMAILHOME, in the foreground, and shows that it delivers.
run: build
	@QMAILHOME="$(if $(filter file default,$(origin QMAILHOME)),$(CURDIR)/var,$(QMAILHOME))" Tools/run $(PROGRAMS)

test: packages $(ARCHIVES)
	@Tools/need python3-pytest python3-dnspython swaks postfix strace mutt bsd-mailx s-nail php-cli git-email libmailtools-perl fastforward dot-forward ucspi-tcp daemontools openssl dovecot-pop3d fetchmail getmail6 mpop msmtp sqlite3 curl iproute2
	$(SWIFT_BUILD) --build-tests
	@$(MAKE) --no-print-directory $(LSPAWN)
	@Tools/test $(PROGRAMS)

# The recorded cases of the reference: Tests/Golden/README.md.
DIR ?= Tests/Golden/qmail
golden: build
	@Tools/need python3
	@Tests/Golden/run.py --bin $(PROGRAMS) $(DIR)

bench: build
	@Tools/need python3 postfix strace e2fsprogs dovecot-pop3d openssl
	@Tools/bench $(PROGRAMS) $(BENCH)

lint:
	@Tools/need python3
	swift format lint --strict --parallel --recursive --configuration .swift-format Sources Tests
	@Tools/check-floors

install: build
	@Tools/install $(PROGRAMS) "$(DESTDIR)" "$(QMAILHOME)"

# The long proof: crashes of the queue on a simulated disk, SEEDS of them instead of the 2,400 of `make test`. A failure prints the seed that repeats it.
SEEDS ?= 100000
torture: packages $(ARCHIVES)
	$(SWIFT_BUILD) --build-tests
	MARTLET_SEEDS=$(SEEDS) swift test -c release --skip-build --filter CrashTests

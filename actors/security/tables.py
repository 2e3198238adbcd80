"""What the `rules` analyzer knows of commands: data, no code. Pure.

Each rule says for which commands it holds, how risky they are then, and why, as half a sentence behind the command's
name. What is to be thought of them: they tell the careless from the harmless, and an adversary writes past them.
"""

from collections.abc import Mapping

import attrs

from actors.security.port import Risk

__all__ = [
    "BOMB",
    "HARMLESS",
    "INTERPRETERS",
    "PLACES",
    "RULES",
    "SCRIPT_TAKERS",
    "SECRETS",
    "SHELLS",
    "WRAPPERS",
    "WRITES",
    "Pattern",
    "Rule",
    "by_name",
]


@attrs.frozen
class Rule:
    """For commands with one of these `names`, with each of these patterns found in some argument."""

    names: str
    risk: Risk
    reason: str
    arguments: tuple[str, ...] = ()


@attrs.frozen
class Pattern:
    """For any word in which it is found."""

    pattern: str
    risk: Risk
    reason: str


_HIGH, _MEDIUM = Risk.HIGH, Risk.MEDIUM

_SYSTEM = (
    r"^(/\*?|~/?\*?|\$\{?HOME\}?/?\*?|/(bin|boot|dev|etc|home|lib\w*|opt|proc|root|run|sbin|srv|sys|usr|var)(/.*)?)$"
)
_EVERYTHING = r"^((\.\.?/)*\.\.?/?|(\.\.?/)*\*)$"
_RECURSIVE = r"^(-(?=[a-zA-Z]+$)[a-zA-Z]*?[rR].*|--recursive)$"
_UPLOAD = r"^(--data(-\w+)?|--form(-string)?|--upload-file|--json|--post-(data|file)|--body-(data|file))(=|$)"
_INSTALL = r"^(install|i|add|get|ci|update|upgrade)$"

RULES: tuple[Rule, ...] = (
    # --- destruction
    Rule("rm", _HIGH, "removes folders of the system or of the user", (_RECURSIVE, _SYSTEM)),
    Rule("rm", _HIGH, "removes everything there is here", (_RECURSIVE, _EVERYTHING)),
    Rule("rm", _HIGH, "removes the root of the system", (r"^--no-preserve-root$",)),
    Rule("rm rmdir unlink", _MEDIUM, "removes files"),
    Rule("shred wipefs blkdiscard mkfs mkswap fdisk sfdisk parted", _HIGH, "destroys what is on a disk"),
    Rule("dd", _HIGH, "writes over a device", (r"^of=/dev/(?!null$|stdout$|stderr$)",)),
    Rule("dd truncate", _MEDIUM, "writes over files"),
    Rule("find", _MEDIUM, "removes files", (r"^-delete$",)),
    Rule("find", _HIGH, "removes files of the system or of the user", (r"^-delete$", _SYSTEM)),
    Rule("chmod chown chgrp tee truncate", _HIGH, "changes files of the system", (_SYSTEM,)),
    Rule("cp mv ln install", _MEDIUM, "copies from or to folders of the system", (_SYSTEM,)),
    Rule("mv ln install chmod chown chgrp tee", _MEDIUM, "changes files"),
    Rule("sed perl", _MEDIUM, "changes files", (r"^(-[a-zA-Z]*i.*|--in-place.*)$",)),
    Rule("git", _HIGH, "rewrites what others have", (r"^push$", r"^(-f|--force.*|--mirror|--delete|\+.+)$")),
    Rule("git", _MEDIUM, "throws work away", (r"^reset$", r"^--hard$")),
    Rule("git", _MEDIUM, "throws work away", (r"^clean$", r"^(-(?=[a-zA-Z]+$)[a-zA-Z]*?f.*|--force)$")),
    Rule("git", _MEDIUM, "rewrites history", (r"^(filter-branch|filter-repo|rebase|gc|reflog)$",)),
    Rule("shutdown reboot halt poweroff init telinit", _HIGH, "stops the machine"),
    Rule("kill", _HIGH, "ends every process", (r"^-(9|KILL|SIGKILL|15|TERM)$", r"^-1$")),
    Rule("kill killall pkill", _MEDIUM, "ends processes"),
    # --- privilege
    Rule("sudo su doas pkexec runuser setpriv newgrp", _HIGH, "asks for the rights of somebody else"),
    Rule("passwd chpasswd visudo useradd usermod userdel groupadd", _HIGH, "changes who may do what"),
    Rule("setcap setfacl", _HIGH, "changes who may do what"),
    Rule("chmod", _HIGH, "gives a program the rights of its owner", (r"^([ugoa]*\+[rwx]*s|0?[24567][0-7]{3})$",)),
    Rule("chmod", _MEDIUM, "lets everybody write", (r"^(0?[0-7]?[0-7][2367]|[oa]+\+[rx]*w.*|\+w)$",)),
    Rule("mount umount chroot unshare nsenter pivot_root", _HIGH, "changes what the system looks like"),
    Rule("insmod rmmod modprobe sysctl kexec iptables ip6tables nft ufw", _HIGH, "changes the system itself"),
    Rule("docker podman nerdctl kubectl lxc", _MEDIUM, "controls other machines or containers"),
    Rule("crontab at batch systemctl service launchctl", _MEDIUM, "has something run later, or as a service"),
    # --- network
    Rule("curl wget http https xh", _MEDIUM, "talks to another machine"),
    Rule("curl wget http https xh", _HIGH, "sends data to another machine", (_UPLOAD,)),
    Rule("curl", _HIGH, "sends data to another machine", (r"^-[a-zA-Z]*[dFT]",)),
    Rule("curl", _HIGH, "changes something on another machine", (r"^(-X|--request=?)?(POST|PUT|PATCH|DELETE)$",)),
    Rule("nc ncat netcat socat telnet", _HIGH, "opens a connection of its own making"),
    Rule("ssh scp sftp rsync ftp lftp rclone aws gcloud gsutil az gh glab", _MEDIUM, "talks to another machine"),
    Rule("ping dig host nslookup whois nmap traceroute", _MEDIUM, "talks to another machine"),
    Rule("git", _MEDIUM, "talks to another machine", (r"^(push|pull|fetch|clone|ls-remote|submodule)$",)),
    Rule("pip pip3 pipx uv poetry npm pnpm yarn bun gem cargo go brew", _MEDIUM, "installs software", (_INSTALL,)),
    Rule("apt apt-get aptitude dpkg dnf yum rpm apk pacman zypper snap npx uvx", _MEDIUM, "installs software"),
    # --- code that is not looked at
    Rule("source .", _MEDIUM, "runs what stands in a file"),
    Rule("python python3 node deno perl ruby php lua", _MEDIUM, "runs code that is not looked at"),
    Rule("make ninja cmake tox pytest npm cargo go mvn gradle", _MEDIUM, "runs code that is not looked at"),
)

PLACES: tuple[Pattern, ...] = (
    Pattern(r"/dev/(tcp|udp)/", _HIGH, "opens a connection of its own making"),
    Pattern(
        r"(^|[/~])\.ssh(/|$)|\bid_(rsa|dsa|ecdsa|ed25519)$|\.aws/credentials|\.git-credentials", _HIGH, "touches keys"
    ),
    Pattern(r"^/etc/(shadow|gshadow|sudoers)|(^|/)\.(netrc|pgpass|npmrc|pypirc)$|\.kube/config", _HIGH, "touches keys"),
    Pattern(r"^/proc/(\d+|self|\$\w+|\*)/(environ|mem)$", _HIGH, "looks into other processes"),
    Pattern(r"(^|/)\.env(\.\w+)?$|\.(pem|p12|pfx|key)$", _MEDIUM, "touches what looks like a secret"),
    Pattern(r"/docker\.sock$", _HIGH, "controls the machine by its containers"),
)
"""Words that name a place, whatever the command."""

WRITES: tuple[Pattern, ...] = (
    Pattern(r"^/dev/(?!null$|stdout$|stderr$|tty$|fd/)", _HIGH, "writes to a device"),
    Pattern(r"^/(bin|boot|etc|lib\w*|opt|proc|root|sbin|sys|usr)/", _HIGH, "writes to folders of the system"),
    Pattern(
        r"(^|/)\.(bashrc|profile|bash_profile|zshrc|zprofile|gitconfig)$|/hooks/", _HIGH, "has something run later"
    ),
)
"""Targets of a redirection."""

SECRETS: tuple[Pattern, ...] = (
    Pattern(r"\b(ghp|gho|ghs|ghu)_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{15,}", _HIGH, "carries a token"),
    Pattern(r"\bsk-[A-Za-z0-9_-]{20,}|\bxox[abprs]-[\w-]{10,}|\bAKIA[0-9A-Z]{16}\b", _HIGH, "carries a token"),
    Pattern(r"-----BEGIN [A-Z ]*PRIVATE KEY", _HIGH, "carries a private key"),
    Pattern(r"(?i)\bauthorization:\s*(bearer|basic|token)\s+[^\s$]{8,}", _HIGH, "carries a token"),
    Pattern(r"://[^/\s:@$]+:[^/\s@$]{3,}@", _HIGH, "carries a password"),
    Pattern(
        r"(?i)(password|passwd|secret|token|api_?key|access_?key)\w{0,32}\s{0,4}[=:]\s{0,4}[^\s$(]{6,}",
        _MEDIUM,
        "carries what looks like a secret",
    ),
    Pattern(r"^(LD_PRELOAD|LD_AUDIT|BASH_ENV|PROMPT_COMMAND|PYTHONSTARTUP)=", _MEDIUM, "changes how programs start"),
)
"""Words, assignments among them, that say more than they should; a log keeps them."""

BOMB = Pattern(r":\s*\(\)\s*\{[^}]{0,64}:\s{0,4}\|\s{0,4}:", _HIGH, "multiplies itself until the machine stands still")
"""In the text as a whole."""

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "rbash"})

INTERPRETERS = SHELLS | {"python", "python3", "node", "deno", "perl", "ruby", "php", "lua"}
"""What runs its input when it is given nothing else."""

SCRIPT_TAKERS = SHELLS | {"su", "ssh", "watch", "script", "eval", "parallel", "xargs", "trap", "runuser", "flock"}
"""What takes a script as one of its words."""

WRAPPERS = frozenset(
    {
        "sudo", "doas", "env", "nohup", "nice", "ionice", "timeout", "stdbuf", "setsid", "xargs", "command",
        "builtin", "exec", "watch", "find", "fd", "parallel", "chroot", "unshare", "busybox", "toybox",
        "flock", "strace", "script", "trap", "runuser", "time", "pkexec", "bwrap", "systemd-run", "eval",
    }
)  # fmt: skip
"""What takes another command as its last words, somewhere."""

HARMLESS = frozenset(
    {
        "ls", "cat", "echo", "printf", "pwd", "cd", "head", "tail", "grep", "egrep", "fgrep", "rg", "find",
        "fd", "wc", "sort", "uniq", "cut", "tr", "date", "env", "printenv", "which", "type", "whoami", "id",
        "uname", "hostname", "df", "du", "stat", "file", "diff", "cmp", "tree", "true", "false", "test", "[",
        "[[", "((", "seq", "sleep", "ps", "less", "more", "basename", "dirname", "realpath", "readlink",
        "md5sum", "sha256sum", "sha1sum", "cksum", "xxd", "od", "hexdump", "nl", "tac", "rev", "column",
        "paste", "join", "comm", "jq", "yq", "sed", "awk", "expr", "bc", "mkdir", "touch", "cp", "git", "for",
        "case", "select", "function", "return", "exit", "break", "continue", "local", "export", "set",
        "unset", "shift", "read", "wait", "jobs", ":", "let", "declare", "time", "timeout", "nohup", "nice",
        "command", "builtin", "exec", "xargs", "tar", "zip", "unzip", "gzip", "gunzip", "ruff", "mypy",
        "black", "eslint", "prettier", "tsc", "gcc", "g++", "cc", "clang", "rustc", "javac", "top", "free",
        "uptime", "man", "help", "alias", "history", "yes", "watch", "stdbuf", "setsid", "trap", "pushd",
        "popd", "fmt", "fold", "shuf", "split", "base64", "strings", "nproc", "arch", "locale", "tty",
        "umask", "ulimit", "eval",
    }
)  # fmt: skip
"""What reads, counts, builds or makes new files in the workspace, where no rule says otherwise."""


def by_name() -> Mapping[str, tuple[Rule, ...]]:
    """The rules that may hold for a command."""
    names = {name for rule in RULES for name in rule.names.split()}
    return {name: tuple(rule for rule in RULES if name in rule.names.split()) for name in names}

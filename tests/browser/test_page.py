"""The page at `/` in a real browser: create, chat, history, several tabs, a server that goes away, stops and errors."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.conftest import PATIENCE_MS, Tabs
from tests.e2e.server import ServerProcess

pytestmark = pytest.mark.wallclock

expect.set_options(timeout=PATIENCE_MS)

STATIC = Path(__file__).parents[2] / "transport" / "static"

SCRIPT = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def say(page: Page, text: str) -> None:
    field = page.get_by_label("Message", exact=True)
    field.fill(text)
    field.press("Enter")


def create(page: Page, text: str) -> None:
    page.get_by_label("First message").fill(text)
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile("/conversations/[0-9a-f]{32}$"))


def shown_ids(page: Page) -> list[int]:
    """Of everything in the log, in the order it is shown."""
    ids: list[int] = page.eval_on_selector_all("#log > li", "items => items.map(item => Number(item.dataset.id))")
    return ids


def open_conversation(tabs: Tabs, server: ServerProcess, conversation_id: str, locale: str = "en-US") -> Page:
    return tabs.open(f"{server.url}/conversations/{conversation_id}", locale)


def test_a_command_is_created_run_and_shown(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    expect(page.locator("#list-empty")).to_be_visible()
    expect(page.get_by_role("button", name="Log out")).to_be_hidden()  # there is no key
    create(page, "$ echo $((40+2))")
    expect(page.locator(".output")).to_have_text("42\n")
    expect(page.locator(".card .outcome")).to_have_text("exit 0")
    expect(page.locator("#status")).to_have_text("Ready")
    expect(page.locator("#agent")).to_have_text("waits for you")
    say(page, "and hello")
    expect(page.locator(".message.theirs")).to_contain_text("and hello")
    expect(page.locator("#list li")).to_have_count(1)


def test_k34_what_the_agent_writes_is_seen_while_it_writes_and_is_one_message_in_the_end(
    server: ServerProcess, tabs: Tabs
) -> None:
    page = tabs.open(server.url)
    create(page, "/note hello")
    expect(page.locator("#connection")).to_have_text("Live")
    say(page, "/stream " + " ".join(f"word{number}" for number in range(120)))
    expect(page.locator("#draft")).to_contain_text("word1 word2 word3")
    expect(page.locator(".message.theirs")).to_have_count(0)
    say(page, "/note meanwhile")
    expect(page.locator(".message.mine").last).to_contain_text("meanwhile")
    expect(page.locator("#draft")).to_contain_text("word0 word1")
    expect(page.locator(".message.theirs")).to_contain_text("word118 word119")
    expect(page.locator("#draft")).to_be_hidden()


def test_history_is_there_after_a_reload_and_through_the_list(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    create(page, "$ echo kept")
    expect(page.locator(".output")).to_have_text("kept\n")
    before = shown_ids(page)
    page.reload()
    expect(page.locator(".output")).to_have_text("kept\n")
    expect(page.locator("#log > li")).to_have_count(len(before))
    assert shown_ids(page) == before
    page.goto(server.url)
    page.get_by_role("link", name=re.compile(r"^\$ echo kept")).click()
    expect(page.locator(".output")).to_have_text("kept\n")
    page.go_back()
    expect(page.get_by_label("First message")).to_be_visible()


def test_two_tabs_are_live(server: ServerProcess, tabs: Tabs) -> None:
    conversation_id = server.create()
    one, other = (open_conversation(tabs, server, conversation_id) for _ in range(2))
    for page in (one, other):
        expect(page.locator("#connection")).to_have_text("Live")
    say(one, "/note from one")
    expect(other.locator(".message.mine")).to_have_text(re.compile("/note from one"))
    say(other, "$ echo from $((1+1))")
    expect(one.locator(".output")).to_have_text("from 2\n")
    assert shown_ids(one) == shown_ids(other)


def test_a_server_killed_and_restarted_leaves_no_gap_and_no_duplicate(server: ServerProcess, tabs: Tabs) -> None:
    conversation_id = server.create("/burst 50 40")
    page, other = (open_conversation(tabs, server, conversation_id) for _ in range(2))
    expect(page.locator(".message.theirs")).to_have_count(50)
    for round_ in range(2):
        server.kill()
        expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
        server.start()
        # What happens before the page is back is what it has to catch up with.
        for number in range(5):
            server.request(
                "POST", f"/api/conversations/{conversation_id}/message", {"message": f"/note {round_}-{number}"}
            )
        expect(page.locator("#connection")).to_have_text("Live")
        expect(page.locator(".message.mine")).to_have_count(1 + 5 * (round_ + 1))
        expect(page.get_by_role("alert")).to_be_empty()
    say(page, "$ echo still here")
    expect(page.locator(".output")).to_have_text("still here\n")
    expect(page.locator(".message.theirs")).to_have_count(50)
    ids = shown_ids(page)
    assert ids == sorted(set(ids))
    expect(other.locator(".output")).to_have_text("still here\n")
    other.reload()
    expect(other.locator(".output")).to_have_text("still here\n")
    assert shown_ids(other) == ids


def test_what_comes_twice_is_shown_once_and_who_is_not_ready_is_asked_again(server: ServerProcess, tabs: Tabs) -> None:
    conversation_id = server.create("/burst 5 20")
    page = tabs.open(server.url)
    connections: list[str] = []

    def through_a_bad_wire(client: WebSocketRoute) -> None:
        connections.append(client.url)
        real = client.connect_to_server()

        def deliver(packet: str | bytes) -> None:
            text = str(packet)
            if len(connections) == 1 and text.startswith("40"):
                client.send('44{"message":"x","data":{"msg_id":"SESSION$SOCKET_NOT_INITIALIZED_ERROR_MESSAGE"}}')
                return
            client.send(text)
            if text.startswith("42"):
                client.send(text)

        real.on_message(deliver)

    page.route_web_socket(re.compile("/socket.io/"), through_a_bad_wire)
    page.goto(f"{server.url}/conversations/{conversation_id}")
    expect(page.locator(".message.theirs")).to_have_count(5)
    say(page, "$ echo once")
    expect(page.locator(".output")).to_have_text("once\n")
    ids = shown_ids(page)
    assert ids == sorted(set(ids))
    assert len(connections) == 2


def test_what_a_killed_server_left_running_is_listed_as_stopped_and_told_as_interrupted(
    server: ServerProcess, tabs: Tabs
) -> None:
    conversation_id = server.create("$ sleep 60")
    server.wait_for(conversation_id, "agent_state_changed")
    page = tabs.open(server.url)
    expect(page.locator("#list .badge")).to_have_text("Running")
    server.kill()
    server.start()
    expect(page.locator("#list .badge")).to_have_text("Stopped")
    page.get_by_role("link", name=re.compile(r"^\$ sleep 60")).click()
    expect(page.locator("#reason")).to_have_text("Interrupted: the server went away meanwhile")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".card .outcome")).to_have_text("not run")
    expect(page.locator("#status")).to_have_text("Ready")


def test_a_run_is_stopped(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    create(page, "$ sleep 60")
    expect(page.locator(".card .outcome")).to_have_text("running")
    expect(page.locator("#status")).to_have_text("Running")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".card .outcome")).to_have_text("ended")
    expect(page.locator("#agent")).to_have_text("stopped")
    say(page, "$ echo after")
    expect(page.locator(".output").last).to_have_text("after\n")


def test_a_stopped_conversation_is_read_without_waking_it_and_wakes_with_a_message(
    server: ServerProcess, tabs: Tabs
) -> None:
    conversation_id = server.create("$ echo once")
    server.wait_for(conversation_id, "run")
    page = open_conversation(tabs, server, conversation_id)
    expect(page.locator(".output")).to_have_text("once\n")
    expect(page.locator("#status")).to_have_text("Ready")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#status")).to_have_text("Stopped")
    expect(page.locator("#connection")).to_have_text("Not connected")
    page.reload()
    expect(page.locator(".output")).to_have_text("once\n")
    expect(page.locator("#connection")).to_have_text("Not connected")
    assert server.request("GET", f"/api/conversations/{conversation_id}")["status"] == "STOPPED"
    say(page, "$ echo twice")
    expect(page.locator(".output").last).to_have_text("twice\n")
    expect(page.locator("#connection")).to_have_text("Live")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("/crash", "The agent crashed"), ("/error out of cheese", "out of cheese")],
)
def test_an_error_is_shown_with_its_reason_and_resumed(
    server: ServerProcess, tabs: Tabs, text: str, reason: str
) -> None:
    page = tabs.open(server.url)
    create(page, text)
    expect(page.locator("#status")).to_have_text("Error")
    expect(page.locator("#reason")).to_contain_text(reason)
    expect(page.locator(".mark[data-state=error]")).to_contain_text(reason)
    expect(page.locator(".item-reason")).to_contain_text(reason)
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#status")).to_have_text("Ready")


@pytest.mark.parametrize("environment", [{"SANDBOX_CLOSE_DELAY": "3", "GREENROOM_CLOSE_CONNECTED": "true"}])
def test_a_conversation_closed_for_idleness_says_so_and_opens_with_a_message(server: ServerProcess, tabs: Tabs) -> None:
    page = open_conversation(tabs, server, server.create("$ echo once"))
    expect(page.locator("#phase")).to_have_text(re.compile("^Closed after a while"))
    expect(page.locator("#status")).to_have_text("Stopped")
    say(page, "$ echo twice")
    expect(page.locator(".output").last).to_have_text("twice\n")


def test_a_refused_message_is_told_and_not_lost(server: ServerProcess, tabs: Tabs) -> None:
    conversation_id = server.create()
    page = open_conversation(tabs, server, conversation_id)
    expect(page.locator("#connection")).to_have_text("Live")
    server.request("POST", f"/api/conversations/{conversation_id}/stop")
    server.request("POST", f"/api/conversations/{conversation_id}/archive")
    # The page does not know yet that it was archived meanwhile.
    page.evaluate("document.getElementById('say').inert = false")
    say(page, "are you there?")
    expect(page.get_by_role("alert")).to_contain_text("ARCHIVED")
    expect(page.get_by_label("Message", exact=True)).to_have_value("are you there?")


@pytest.mark.parametrize("environment", [{"GREENROOM_BUSY_POLICY": "reject"}])
def test_a_message_that_a_live_conversation_refuses_is_told_once(server: ServerProcess, tabs: Tabs) -> None:
    conversation_id = server.create("$ sleep 60")
    page = open_conversation(tabs, server, conversation_id)
    expect(page.locator("#status")).to_have_text("Running")
    say(page, "are you there?")
    expect(page.get_by_role("alert")).to_contain_text("the agent is busy")
    expect(page.get_by_label("Message", exact=True)).to_have_value("are you there?")
    page.wait_for_timeout(300)  # the notice of the same refusal has come by then
    expect(page.locator(".alert")).to_have_count(1)
    chinese = open_conversation(tabs, server, conversation_id, "zh-CN")
    expect(chinese.locator("#status")).to_have_text("运行中")
    chinese.get_by_label("消息", exact=True).fill("在吗")
    chinese.get_by_label("消息", exact=True).press("Enter")
    expect(chinese.get_by_role("alert")).to_contain_text("智能体正忙")


def test_an_unreachable_server_is_told_and_the_first_message_kept(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    expect(page.locator("#list-empty")).to_be_visible()
    server.kill()
    page.get_by_label("First message").fill("hello")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert").first).to_contain_text("cannot be reached")
    expect(page.get_by_label("First message")).to_have_value("hello")


KEY = "open-sesame-open-sesame"


@pytest.mark.parametrize("environment", [{"SESSION_API_KEY": KEY}])
def test_the_key_is_asked_for_once_and_leads_back(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(f"{server.url}/conversations/{'0' * 32}")
    page.wait_for_url(re.compile("/login"))
    page.get_by_label("key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).not_to_be_empty()
    page.get_by_label("key").fill(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="There is no such conversation.")).to_be_visible()
    page.get_by_role("link", name="All conversations").click()
    create(page, "$ echo let in")
    expect(page.locator(".output")).to_have_text("let in\n")
    assert KEY not in str(page.evaluate("[document.cookie, JSON.stringify(localStorage), location.href]"))


@pytest.mark.parametrize("environment", [{"SESSION_API_KEY": KEY}])
def test_a_cookie_that_is_gone_leads_to_the_login_from_a_live_conversation(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    page.get_by_label("key").fill(KEY)
    page.keyboard.press("Enter")
    create(page, "/note here")
    expect(page.locator("#connection")).to_have_text("Live")
    address = page.url
    page.context.clear_cookies()
    server.kill()
    server.start()
    page.wait_for_url(re.compile("/login"))
    page.get_by_label("key").fill(KEY)
    page.keyboard.press("Enter")
    page.wait_for_url(address)
    expect(page.locator(".message.mine")).to_contain_text("/note here")


def test_an_unknown_conversation_is_said_to_be_none(server: ServerProcess, tabs: Tabs) -> None:
    page = open_conversation(tabs, server, "0" * 32)
    expect(page.get_by_role("heading", name="There is no such conversation.")).to_be_visible()


def _rename(page: Page) -> None:
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Title").fill("Cheese")
    page.get_by_label("Title").press("Enter")
    expect(page.locator("#title")).to_have_text("Cheese")
    expect(page.locator("#list .item-title")).to_have_text("Cheese")


def _archive(page: Page) -> None:
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator("#status")).to_have_text("Archived")
    expect(page.locator("#say")).to_have_attribute("inert", "")
    page.get_by_label("Actions").click()
    page.get_by_role("button", name="Take out of the archive").click()
    expect(page.locator("#status")).to_have_text("Stopped")


def _delete(page: Page) -> None:
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_label("Actions").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_label("First message")).to_be_visible()
    expect(page.locator("#list-empty")).to_be_visible()


@pytest.mark.parametrize("act", [_rename, _archive, _delete])
def test_what_is_done_to_a_conversation(server: ServerProcess, tabs: Tabs, act: Callable[[Page], None]) -> None:
    conversation_id = server.create()
    page = open_conversation(tabs, server, conversation_id)
    expect(page.locator("#status")).to_have_text("Ready")
    page.get_by_label("Actions").click()
    act(page)


def test_a_conversation_deleted_elsewhere_is_said_to_be_gone(server: ServerProcess, tabs: Tabs) -> None:
    conversation_id = server.create()
    page = open_conversation(tabs, server, conversation_id)
    expect(page.locator("#connection")).to_have_text("Live")
    server.request("DELETE", f"/api/conversations/{conversation_id}")
    expect(page.get_by_role("heading", name="There is no such conversation.")).to_be_visible()


def test_no_event_is_ever_html(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    create(page, SCRIPT)
    expect(page.locator(".message.theirs")).to_contain_text(SCRIPT)
    say(page, f"$ printf %s {shlex.quote(SCRIPT)}")
    expect(page.locator(".output")).to_contain_text("<script>")
    server.request("PATCH", page.url.replace(server.url, "/api"), {"title": SCRIPT})
    expect(page.locator("#title")).to_have_text(SCRIPT)
    assert page.locator("#log img, #log script, .list img").count() == 0
    assert page.title() != "owned"


def test_a_history_of_10000_events_is_shown_whole(server: ServerProcess, tabs: Tabs) -> None:
    conversation_id = server.create("/burst 10000 60")
    server.wait_for(conversation_id, "greenroom.run_ended", 60)
    page = open_conversation(tabs, server, conversation_id)
    expect(page.locator(".message.theirs")).to_have_count(10_000, timeout=30_000)
    expect(page.locator(".message.theirs").last).to_be_in_viewport()
    ids = shown_ids(page)
    assert ids == sorted(set(ids))


def test_the_page_is_in_the_browsers_language(server: ServerProcess, tabs: Tabs) -> None:
    conversation_id = server.create("$ echo")
    page = open_conversation(tabs, server, conversation_id, "zh-CN")
    expect(page.locator("#status")).to_have_text("就绪")
    assert page.evaluate("document.documentElement.lang") == "zh"


@pytest.mark.parametrize("environment", [{"SECURITY_CONFIRMATION_MODE": "true", "SECURITY_SECURITY_ANALYZER": "rules"}])
def test_reasons_are_in_the_browsers_language(server: ServerProcess, tabs: Tabs) -> None:
    conversation_id = server.create("$ rm -r /etc; cat ~/.ssh/id_rsa")
    page = open_conversation(tabs, server, conversation_id, "zh-CN")
    expect(page.locator(".risk")).to_have_text("高风险：rm 删除系统或用户的目录；该命令触及密钥")
    page.get_by_role("button", name="不执行", exact=True).click()
    expect(page.locator(".output")).to_have_text("用户不希望执行此操作。")
    say_in = page.get_by_label("消息", exact=True)
    say_in.fill("/crash")
    say_in.press("Enter")
    expect(page.locator("#reason")).to_have_text("智能体崩溃了（CrashedOnPurpose）。")
    expect(page.locator(".mark").last).to_have_text("因错误停止：智能体崩溃了（CrashedOnPurpose）。")


def test_both_languages_have_every_text_that_the_page_asks_for(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    words = page.evaluate("import('/static/words.js').then(({ WORDS }) => WORDS)")
    assert words["en"].keys() == words["zh"].keys()
    texts = [file.read_text() for file in STATIC.iterdir() if file.suffix in (".js", ".html")]
    asked = {name for text in texts for name in re.findall(r'(?:\bword\(|data-word(?:-\w+)?=)"(\w+)"', text)}
    assert {"send", "skip", "unconfirmed"} <= asked <= words["en"].keys()


def test_everything_is_done_by_keyboard(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    page.keyboard.type("/note by hand")
    page.keyboard.press("Enter")
    expect(page.locator(".message.mine")).to_contain_text("/note by hand")
    page.keyboard.type("/note again")
    page.keyboard.press("Enter")
    expect(page.locator(".message.mine").last).to_contain_text("/note again")
    page.get_by_label("Actions").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.type("By keyboard")
    page.keyboard.press("Enter")
    expect(page.locator("#title")).to_have_text("By keyboard")


@pytest.mark.parametrize("width", [360, 1280])
def test_what_is_alarming_covers_neither_the_title_nor_what_can_be_done(
    server: ServerProcess, tabs: Tabs, width: int
) -> None:
    page = open_conversation(tabs, server, server.create("/error out of cheese"))
    page.set_viewport_size({"width": width, "height": 640})
    expect(page.locator("#resume")).to_be_visible()
    server.kill()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    for name in ("#title", "#status", "#resume", "#stop", "#menu summary"):
        page.locator(name).click(trial=True)  # complains if something else would be hit


def test_the_page_fits_a_phone(server: ServerProcess, tabs: Tabs) -> None:
    conversation_id = server.create(f"$ echo {'x' * 500}")
    page = open_conversation(tabs, server, conversation_id)
    page.set_viewport_size({"width": 360, "height": 640})
    page.wait_for_function("innerWidth === 360")  # the browser takes its time to follow
    expect(page.locator(".output")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_label("All conversations").click()
    expect(page.locator("#list li")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360

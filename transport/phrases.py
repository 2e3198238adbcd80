"""The server's sentences that have no id, in Chinese: reasons, and what became of an action. Pure data.

What lives here: each sentence by its English, as clients get it and logs keep it; `{0}` and so on stand for what
differs, and what stands there may be a sentence itself (docs/decisions/0013). The first that fits counts. What must
not: what is said when. The page gets it as a module; tests/transport/test_messages.py holds it to what the code says.
"""

from collections.abc import Mapping

__all__ = ["PHRASES"]

PHRASES: Mapping[str, str] = {
    # --- the run-time and the run --------------------------------------------------------------------------------
    "the run-time did not open within {0} s": "运行环境未能在 {0} 秒内启动",
    "the run-time could not be opened ({0})": "无法启动运行环境（{0}）",
    "the server went away": "服务器停止了",
    "The agent crashed ({0}).": "智能体崩溃了（{0}）。",
    # --- what became of an action --------------------------------------------------------------------------------
    "Stopped before it was done.": "在完成之前被停止。",
    "Interrupted: the server went away while this was being done, and the outcome is unknown.": (
        "已中断：执行期间服务器停止了，结果未知。"
    ),
    "The user did not want this to be done.": "用户不希望执行此操作。",
    "Not done: {0}.": "未执行：{0}。",
    # --- the sandbox ---------------------------------------------------------------------------------------------
    "The sandbox is closed.": "沙箱已关闭。",
    "The sandbox was closed while the command ran.": "命令运行期间沙箱被关闭。",
    "No command can be started: {0}.": "无法启动任何命令：{0}。",
    "The command's watchdog was killed; what became of the command is unknown.": (
        "命令的监护进程被终止，命令的结果未知。"
    ),
    "A command cannot contain a zero character.": "命令中不能包含空字符。",
    "The command contains half a character, which is no text.": "命令中含有不完整的字符，不是文本。",
    "The command is {0} bytes long; the longest that can run has {1}.": (
        "命令长 {0} 字节；可执行的最长命令为 {1} 字节。"
    ),
    "bubblewrap is not installed (no bwrap on the PATH)": "未安装 bubblewrap（PATH 中没有 bwrap）",
    # --- risks ---------------------------------------------------------------------------------------------------
    "low risk: {0}": "低风险：{0}",
    "medium risk: {0}": "中风险：{0}",
    "high risk: {0}": "高风险：{0}",
    "unknown risk: {0}": "未知风险：{0}",
    "low risk": "低风险",
    "medium risk": "中风险",
    "high risk": "高风险",
    "unknown risk": "未知风险",
    "{0}; {1}": "{0}；{1}",
    "nobody has looked at it": "没有人检查过它",
    "it cannot be read to its end": "无法完整解读该命令",
    "what it runs is known only to the shell": "只有 shell 才知道它会运行什么",
    "it runs a program that the rules do not know": "该命令运行规则不认识的程序",
    "it runs what it fetches": "该命令运行它所下载的内容",
    "it": "该命令",
    "{0} runs what stands in a file": "{0} 运行文件中的内容",
    "{0} runs what another command writes": "{0} 运行另一个命令的输出",
    "{0} runs code that is not looked at": "{0} 运行未经检查的代码",
    "{0} has something run later, or as a service": "{0} 安排稍后或作为服务运行",
    "{0} has something run later": "{0} 安排稍后运行",
    "{0} removes folders of the system or of the user": "{0} 删除系统或用户的目录",
    "{0} removes everything there is here": "{0} 删除这里的一切",
    "{0} removes the root of the system": "{0} 删除系统的根目录",
    "{0} removes files of the system or of the user": "{0} 删除系统或用户的文件",
    "{0} removes files": "{0} 删除文件",
    "{0} destroys what is on a disk": "{0} 毁掉磁盘上的内容",
    "{0} writes over a device": "{0} 覆盖设备",
    "{0} writes over files": "{0} 覆盖文件",
    "{0} writes to a device": "{0} 写入设备",
    "{0} writes to folders of the system": "{0} 写入系统目录",
    "{0} copies from or to folders of the system": "{0} 从系统目录复制或复制到系统目录",
    "{0} changes files of the system": "{0} 修改系统文件",
    "{0} changes files": "{0} 修改文件",
    "{0} changes the system itself": "{0} 修改系统本身",
    "{0} changes what the system looks like": "{0} 改变系统的样貌",
    "{0} changes who may do what": "{0} 修改权限归属",
    "{0} changes how programs start": "{0} 改变程序的启动方式",
    "{0} changes something on another machine": "{0} 修改另一台机器上的内容",
    "{0} rewrites what others have": "{0} 改写他人已有的内容",
    "{0} rewrites history": "{0} 改写历史",
    "{0} throws work away": "{0} 丢弃已做的工作",
    "{0} stops the machine": "{0} 关停机器",
    "{0} multiplies itself until the machine stands still": "{0} 不断自我复制，直到机器瘫痪",
    "{0} ends every process": "{0} 结束所有进程",
    "{0} ends processes": "{0} 结束进程",
    "{0} asks for the rights of somebody else": "{0} 要求他人的权限",
    "{0} gives a program the rights of its owner": "{0} 赋予程序其所有者的权限",
    "{0} lets everybody write": "{0} 允许所有人写入",
    "{0} controls other machines or containers": "{0} 控制其他机器或容器",
    "{0} controls the machine by its containers": "{0} 通过容器控制本机",
    "{0} talks to another machine": "{0} 与另一台机器通信",
    "{0} sends data to another machine": "{0} 向另一台机器发送数据",
    "{0} opens a connection of its own making": "{0} 自行建立连接",
    "{0} installs software": "{0} 安装软件",
    "{0} looks into other processes": "{0} 窥视其他进程",
    "{0} touches keys": "{0} 触及密钥",
    "{0} touches what looks like a secret": "{0} 触及疑似密文",
    "{0} carries a token": "{0} 带有令牌",
    "{0} carries a private key": "{0} 带有私钥",
    "{0} carries a password": "{0} 带有密码",
    "{0} carries what looks like a secret": "{0} 带有疑似密文",
}

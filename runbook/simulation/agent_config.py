"""The ``config`` part of ``/v1/agent/self``, as captured from a real Nomad 1.0.18 server, for each simulated one."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from runbook.simulation.settings import SimulationSettings

_ENCODER = json.JSONEncoder(separators=(",", ":"))
CAPTURED = """
{"ACL":{"Enabled":false,"PolicyTTL":30000000000,"ReplicationToken":"","TokenTTL":30000000000},
"Addresses":{"HTTP":"127.0.0.11","RPC":"127.0.0.11","Serf":"127.0.0.11"},"AdvertiseAddrs":{"HTTP":"127.0.0.11:4646",
"RPC":"127.0.0.11:4647","Serf":"127.0.0.11:4648"},"Audit":{"Enabled":null,"Filters":null,"Sinks":null},
"Autopilot":{"CleanupDeadServers":false,"DisableUpgradeMigration":null,"EnableCustomUpgrades":null,
"EnableRedundancyZones":null,"LastContactThreshold":200000000,"MaxTrailingLogs":250,"MinQuorum":0,
"ServerStabilizationTime":10000000000},"BindAddr":"127.0.0.11","Client":{"AllocDir":"",
"BindWildcardDefaultHostNetwork":true,"BridgeNetworkName":"","BridgeNetworkSubnet":"",
"CNIConfigDir":"/opt/cni/config","CNIPath":"/opt/cni/bin","ChrootEnv":{},"ClientMaxPort":14512,
"ClientMinPort":14000,"CpuCompute":0,"DisableRemoteExec":false,"Enabled":false,"GCDiskUsageThreshold":80.0,
"GCInodeUsageThreshold":70.0,"GCInterval":60000000000,"GCMaxAllocs":50,"GCParallelDestroys":2,"HostNetworks":null,
"HostVolumes":null,"MaxKillTimeout":"30s","MemoryMB":0,"Meta":{},"NetworkInterface":"","NetworkSpeed":0,
"NoHostUUID":true,"NodeClass":"","Options":{},"Reserved":{"CPU":0,"DiskMB":0,"MemoryMB":0,"ReservedPorts":""},
"ServerJoin":{"RetryInterval":30000000000,"RetryJoin":[],"RetryMaxAttempts":0,"StartJoin":null},"Servers":null,
"StateDir":"","TemplateConfig":{"DisableSandbox":false,"FunctionBlacklist":null,"FunctionDenylist":["plugin"]}},
"Consul":{"Addr":"127.0.0.1:8500","AllowUnauthenticated":true,"Auth":"","AutoAdvertise":true,"CAFile":"",
"CertFile":"","ChecksUseAdvertise":false,"ClientAutoJoin":true,"ClientHTTPCheckName":"Nomad Client HTTP Check",
"ClientServiceName":"nomad-client","EnableSSL":false,"GRPCAddr":"","KeyFile":"","Namespace":"",
"ServerAutoJoin":true,"ServerHTTPCheckName":"Nomad Server HTTP Check","ServerRPCCheckName":"Nomad Server RPC Check",
"ServerSerfCheckName":"Nomad Server Serf Check","ServerServiceName":"nomad","ShareSSL":null,"Tags":null,
"Timeout":5000000000,"Token":"","VerifySSL":true},"DataDir":"/opt/nomad/s1","Datacenter":"dc1","DevMode":false,
"DisableAnonymousSignature":false,"DisableUpdateCheck":true,"EnableDebug":false,"EnableSyslog":false,
"Files":["/opt/nomad/s1.hcl"],"HTTPAPIResponseHeaders":{},"LeaveOnInt":false,"LeaveOnTerm":false,
"Limits":{"HTTPMaxConnsPerClient":100,"HTTPSHandshakeTimeout":"5s","RPCHandshakeTimeout":"5s",
"RPCMaxConnsPerClient":100},"LogFile":"","LogJson":false,"LogLevel":"INFO","LogRotateBytes":0,
"LogRotateDuration":"","LogRotateMaxFiles":0,"NodeName":"s1","PluginDir":"/opt/nomad/s1/plugins","Plugins":null,
"Ports":{"HTTP":4646,"RPC":4647,"Serf":4648},"Region":"global","Sentinel":{"Imports":null},
"Server":{"AuthoritativeRegion":"","BootstrapExpect":3,"CSIPluginGCThreshold":"","CSIVolumeClaimGCThreshold":"",
"DataDir":"","DefaultSchedulerConfig":null,"DeploymentGCThreshold":"","EnableEventBroker":true,"Enabled":true,
"EnabledSchedulers":null,"EvalGCThreshold":"","EventBufferSize":100,"HeartbeatGrace":0,"JobGCInterval":"",
"JobGCThreshold":"","MaxHeartbeatsPerSecond":0.0,"MinHeartbeatTTL":0,"NodeGCThreshold":"","NonVotingServer":false,
"NumSchedulers":null,"ProtocolVersion":0,"RaftMultiplier":null,"RaftProtocol":3,"RedundancyZone":"",
"RejoinAfterLeave":false,"RetryInterval":0,"RetryJoin":[],"RetryMaxAttempts":0,
"ServerJoin":{"RetryInterval":1000000000,"RetryJoin":["127.0.0.11:4648"],"RetryMaxAttempts":0,"StartJoin":null},
"StartJoin":[],"UpgradeVersion":""},"SyslogFacility":"LOCAL0","TLSConfig":{"CAFile":"","CertFile":"","Checksum":"",
"EnableHTTP":false,"EnableRPC":false,"KeyFile":"","KeyLoader":{},"RPCUpgradeMode":false,"TLSCipherSuites":"",
"TLSMinVersion":"","TLSPreferServerCipherSuites":false,"VerifyHTTPSClient":false,"VerifyServerHostname":false},
"Telemetry":{"CirconusAPIApp":"","CirconusAPIToken":"","CirconusAPIURL":"","CirconusBrokerID":"",
"CirconusBrokerSelectTag":"","CirconusCheckDisplayName":"","CirconusCheckForceMetricActivation":"",
"CirconusCheckID":"","CirconusCheckInstanceID":"","CirconusCheckSearchTag":"","CirconusCheckSubmissionURL":"",
"CirconusCheckTags":"","CirconusSubmissionInterval":"","CollectionInterval":"1s","DataDogAddr":"",
"DataDogTags":null,"DisableDispatchedJobSummaryMetrics":false,"DisableHostname":false,"FilterDefault":null,
"PrefixFilter":null,"PrometheusMetrics":false,"PublishAllocationMetrics":false,"PublishNodeMetrics":false,
"StatsdAddr":"","StatsiteAddr":"","UseNodeName":false},"Vault":{"Addr":"https://vault.service.consul:8200",
"AllowUnauthenticated":true,"ConnectionRetryIntv":30000000000,"Enabled":null,"Namespace":"","Role":"",
"TLSCaFile":"","TLSCaPath":"","TLSCertFile":"","TLSKeyFile":"","TLSServerName":"","TLSSkipVerify":null,
"TaskTokenTTL":"","Token":""},"Version":{"Revision":"","Version":"1.0.18","VersionMetadata":"",
"VersionPrerelease":""}}
"""


@lru_cache(maxsize=64)
def agent_config(settings: SimulationSettings, name: str) -> str:
    """The captured document with this server's own name, addresses and settings in it, as JSON."""
    host = settings.host(name)
    config: dict[str, Any] = json.loads(CAPTURED)
    config["ACL"]["Enabled"] = settings.token is not None
    config["Addresses"] = dict.fromkeys(("HTTP", "RPC", "Serf"), host)
    config["Ports"] = {"HTTP": settings.http_port, "RPC": settings.rpc_port, "Serf": serf_port(settings)}
    config["AdvertiseAddrs"] = {use: f"{host}:{port}" for use, port in config["Ports"].items()}
    config["BindAddr"], config["NodeName"] = host, name
    config["DataDir"], config["Files"] = f"/opt/nomad/{name}", [f"/opt/nomad/{name}.hcl"]
    config["PluginDir"] = f"{config['DataDir']}/plugins"
    config["Autopilot"] |= {"CleanupDeadServers": settings.cleanup, "MinQuorum": settings.min_quorum}
    config["Server"] |= {"BootstrapExpect": settings.servers, "RaftProtocol": settings.raft_protocol}
    config["Server"]["ServerJoin"]["RetryJoin"] = [f"{settings.host('s1')}:{serf_port(settings)}"]
    config["Version"]["Version"] = settings.release
    return compact(config)


def compact(value: Any) -> str:
    """JSON as a server writes it, without a blank."""
    return _ENCODER.encode(value)


def serf_port(settings: SimulationSettings) -> int:
    """Nothing listens there: the lab's gossip is in the model."""
    return settings.rpc_port + 1

// Chimp Assets in one resource group of Azure: network, storage, Azure SQL, PostgreSQL for Dagster's records, Key Vault,
// registry, Azure ML with clusters from 0 nodes, AKS. docs/operate/azure.md leads through it step by step.
//
//   az deployment group create --resource-group RG --template-file azure/main.bicep --parameters azure/main.parameters.json
//
// No service takes a key or, but for Dagster's PostgreSQL, a password: identities sign in. What each may do is in the
// modules: storage_roles, vault, registry, machinelearning; rights in SQL are given by azure/values.py.

@description('Beginning of all names: 3 to 11 small letters and digits.')
@minLength(3)
@maxLength(11)
param name string

param location string = resourceGroup().location

param tags object = {
  application: 'chimp-assets'
}

@description('Name of the Entra group of those who own the schema in SQL and administer AKS.')
param administratorGroupName string

@description('Object id of that group.')
param administratorGroupId string

@description('Addresses from which administrators work, such as 203.0.113.7; none: everything is reached from the network only.')
param operatorAddresses array = []

@description('Password of the user dagster of PostgreSQL: long and random. It goes into the Key Vault.')
@secure()
@minLength(24)
param recordsPassword string

@description('Secret of the application through which people sign in; empty: accounts of the page itself.')
@secure()
param oidcClientSecret string = ''

@description('Whether images may be pushed from outside the network, by Entra ID.')
@allowed([
  'Enabled'
  'Disabled'
])
param registryAccess string = 'Enabled'

param namespace string = 'chimp-assets'

param addressPrefix string = '10.40.0.0/16'
param clustersPrefix string = '10.40.0.0/20'
param machinesPrefix string = '10.40.16.0/22'
param endpointsPrefix string = '10.40.20.0/24'

param storageSku string = 'Standard_ZRS'
param coolAfterDays int = 60

param sqlSku string = 'GP_S_Gen5_2'
param sqlAutoPauseMinutes int = 60
param sqlBackupDays int = 14

param recordsSku string = 'Standard_B2s'
param recordsStorageGB int = 64

param systemSize string = 'Standard_D2s_v5'
param workSize string = 'Standard_D8s_v5'
param mostWorkNodes int = 4
param kubernetesGpuSize string = 'Standard_NC4as_T4_v3'
param mostKubernetesGpuNodes int = 1

param machinesCpuSize string = 'Standard_D8s_v5'
param mostMachinesCpuNodes int = 4
param machinesGpuSize string = 'Standard_NC24ads_A100_v4'
param mostMachinesGpuNodes int = 2

param logRetentionDays int = 90

@description('Whether Microsoft Defender watches storage, SQL, Key Vault and containers of the whole subscription.')
param defender bool = false

var suffix = uniqueString(resourceGroup().id)
var storageName = toLower('${name}${suffix}')
var zoneNames = [
  'privatelink.blob.${environment().suffixes.storage}'
  'privatelink.file.${environment().suffixes.storage}'
  'privatelink${environment().suffixes.sqlServerHostname}'
  'privatelink.postgres.database.azure.com'
  'privatelink.vaultcore.azure.net'
  'privatelink.azurecr.io'
  'privatelink.api.azureml.ms'
  'privatelink.notebooks.azure.net'
]

module network 'modules/network.bicep' = {
  name: 'network'
  params: {
    name: name
    location: location
    tags: tags
    addressPrefix: addressPrefix
    clustersPrefix: clustersPrefix
    machinesPrefix: machinesPrefix
    endpointsPrefix: endpointsPrefix
    zoneNames: zoneNames
  }
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  params: {
    name: name
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    name: name
    location: location
    tags: tags
    retentionDays: logRetentionDays
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    name: storageName
    location: location
    tags: tags
    logsId: monitoring.outputs.logsId
    operatorAddresses: operatorAddresses
    sku: storageSku
    coolAfterDays: coolAfterDays
  }
}

module storageRoles 'modules/storage_roles.bicep' = {
  name: 'storage-roles'
  params: {
    accountName: storage.outputs.name
    archiveReaders: [
      identities.outputs.pipelinePrincipalId
      identities.outputs.machinesPrincipalId
    ]
    storeWriters: [
      identities.outputs.pagePrincipalId
      identities.outputs.pipelinePrincipalId
      identities.outputs.migrationPrincipalId
      identities.outputs.machinesPrincipalId
    ]
  }
}

module sql 'modules/sql.bicep' = {
  name: 'sql'
  params: {
    name: '${name}-sql-${suffix}'
    location: location
    tags: tags
    logsId: monitoring.outputs.logsId
    administratorName: administratorGroupName
    administratorObjectId: administratorGroupId
    sku: sqlSku
    autoPauseMinutes: sqlAutoPauseMinutes
    backupDays: sqlBackupDays
  }
}

module records 'modules/records.bicep' = {
  name: 'records'
  params: {
    name: '${name}-records-${suffix}'
    location: location
    tags: tags
    logsId: monitoring.outputs.logsId
    password: recordsPassword
    sku: recordsSku
    storageGB: recordsStorageGB
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    name: '${name}${take(suffix, 10)}kv'
    location: location
    tags: tags
    logsId: monitoring.outputs.logsId
    operatorAddresses: operatorAddresses
    recordsPassword: recordsPassword
    oidcClientSecret: oidcClientSecret
    recordsReaders: [
      identities.outputs.pipelinePrincipalId
      identities.outputs.migrationPrincipalId
    ]
    oidcReaders: [
      identities.outputs.pagePrincipalId
    ]
  }
}

module registry 'modules/registry.bicep' = {
  name: 'registry'
  params: {
    name: '${name}${suffix}'
    location: location
    tags: tags
    logsId: monitoring.outputs.logsId
    publicNetworkAccess: registryAccess
    pullers: [
      identities.outputs.machinesPrincipalId
    ]
  }
}

module machineLearning 'modules/machinelearning.bicep' = {
  name: 'machine-learning'
  params: {
    name: '${name}-ml'
    location: location
    tags: tags
    logsId: monitoring.outputs.logsId
    insightsId: monitoring.outputs.insightsId
    vaultId: vault.outputs.id
    registryId: registry.outputs.id
    subnetId: network.outputs.machinesSubnetId
    operatorAddresses: operatorAddresses
    ownStorageName: '${name}ml${take(suffix, 10)}'
    machinesIdentityId: identities.outputs.machinesId
    submitters: [
      identities.outputs.pipelinePrincipalId
    ]
    cpuSize: machinesCpuSize
    gpuSize: machinesGpuSize
    mostCpuNodes: mostMachinesCpuNodes
    mostGpuNodes: mostMachinesGpuNodes
  }
}

module kubernetes 'modules/kubernetes.bicep' = {
  name: 'kubernetes'
  params: {
    name: '${name}-aks'
    location: location
    tags: tags
    logsId: monitoring.outputs.logsId
    subnetId: network.outputs.clustersSubnetId
    operatorAddresses: operatorAddresses
    administratorGroups: [
      administratorGroupId
    ]
    registryName: '${name}${suffix}'
    systemSize: systemSize
    workSize: workSize
    mostWorkNodes: mostWorkNodes
    gpuSize: kubernetesGpuSize
    mostGpuNodes: mostKubernetesGpuNodes
  }
  dependsOn: [
    registry
  ]
}

module federation 'modules/federation.bicep' = {
  name: 'federation'
  params: {
    issuer: kubernetes.outputs.issuer
    namespace: namespace
    pageIdentityName: identities.outputs.pageName
    pipelineIdentityName: identities.outputs.pipelineName
    migrationIdentityName: identities.outputs.migrationName
  }
}

module storageEndpoint 'modules/endpoint.bicep' = {
  name: 'endpoint-storage'
  params: {
    name: '${name}-storage'
    location: location
    tags: tags
    subnetId: network.outputs.endpointsSubnetId
    targetId: storage.outputs.id
    groupId: 'blob'
    zoneIds: [
      resourceId('Microsoft.Network/privateDnsZones', zoneNames[0])
    ]
  }
}

module workspaceBlobEndpoint 'modules/endpoint.bicep' = {
  name: 'endpoint-workspace-blob'
  params: {
    name: '${name}-workspace-blob'
    location: location
    tags: tags
    subnetId: network.outputs.endpointsSubnetId
    targetId: machineLearning.outputs.ownStorageId
    groupId: 'blob'
    zoneIds: [
      resourceId('Microsoft.Network/privateDnsZones', zoneNames[0])
    ]
  }
}

module workspaceFileEndpoint 'modules/endpoint.bicep' = {
  name: 'endpoint-workspace-file'
  params: {
    name: '${name}-workspace-file'
    location: location
    tags: tags
    subnetId: network.outputs.endpointsSubnetId
    targetId: machineLearning.outputs.ownStorageId
    groupId: 'file'
    zoneIds: [
      resourceId('Microsoft.Network/privateDnsZones', zoneNames[1])
    ]
  }
}

module sqlEndpoint 'modules/endpoint.bicep' = {
  name: 'endpoint-sql'
  params: {
    name: '${name}-sql'
    location: location
    tags: tags
    subnetId: network.outputs.endpointsSubnetId
    targetId: sql.outputs.id
    groupId: 'sqlServer'
    zoneIds: [
      resourceId('Microsoft.Network/privateDnsZones', zoneNames[2])
    ]
  }
}

module recordsEndpoint 'modules/endpoint.bicep' = {
  name: 'endpoint-records'
  params: {
    name: '${name}-records'
    location: location
    tags: tags
    subnetId: network.outputs.endpointsSubnetId
    targetId: records.outputs.id
    groupId: 'postgresqlServer'
    zoneIds: [
      resourceId('Microsoft.Network/privateDnsZones', zoneNames[3])
    ]
  }
}

module vaultEndpoint 'modules/endpoint.bicep' = {
  name: 'endpoint-vault'
  params: {
    name: '${name}-vault'
    location: location
    tags: tags
    subnetId: network.outputs.endpointsSubnetId
    targetId: vault.outputs.id
    groupId: 'vault'
    zoneIds: [
      resourceId('Microsoft.Network/privateDnsZones', zoneNames[4])
    ]
  }
}

module registryEndpoint 'modules/endpoint.bicep' = {
  name: 'endpoint-registry'
  params: {
    name: '${name}-registry'
    location: location
    tags: tags
    subnetId: network.outputs.endpointsSubnetId
    targetId: registry.outputs.id
    groupId: 'registry'
    zoneIds: [
      resourceId('Microsoft.Network/privateDnsZones', zoneNames[5])
    ]
  }
}

module workspaceEndpoint 'modules/endpoint.bicep' = {
  name: 'endpoint-workspace'
  params: {
    name: '${name}-workspace'
    location: location
    tags: tags
    subnetId: network.outputs.endpointsSubnetId
    targetId: machineLearning.outputs.id
    groupId: 'amlworkspace'
    zoneIds: [
      resourceId('Microsoft.Network/privateDnsZones', zoneNames[6])
      resourceId('Microsoft.Network/privateDnsZones', zoneNames[7])
    ]
  }
}

module watch 'modules/defender.bicep' = if (defender) {
  name: 'defender'
  scope: subscription()
  params: {
    plans: [
      'StorageAccounts'
      'SqlServers'
      'OpenSourceRelationalDatabases'
      'KeyVaults'
      'Containers'
    ]
  }
}

output tenantId string = subscription().tenantId
output subscriptionId string = subscription().subscriptionId
output resourceGroupName string = resourceGroup().name
output kubernetesNamespace string = namespace
output clusterName string = kubernetes.outputs.name
output registryServer string = registry.outputs.loginServer
output storageName string = storage.outputs.name
output sqlHost string = sql.outputs.host
output sqlDatabase string = sql.outputs.databaseName
output recordsHost string = records.outputs.host
output vaultName string = vault.outputs.name
output workspaceName string = machineLearning.outputs.name
output cpuClusterName string = machineLearning.outputs.cpuClusterName
output gpuClusterName string = machineLearning.outputs.gpuClusterName
output ingressPrefix string = addressPrefix
output pageIdentityName string = identities.outputs.pageName
output pageClientId string = identities.outputs.pageClientId
output pipelineIdentityName string = identities.outputs.pipelineName
output pipelineClientId string = identities.outputs.pipelineClientId
output migrationClientId string = identities.outputs.migrationClientId
output migrationPrincipalId string = identities.outputs.migrationPrincipalId
output machinesIdentityName string = identities.outputs.machinesName
output machinesClientId string = identities.outputs.machinesClientId
